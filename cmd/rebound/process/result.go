package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"syscall"
	"time"
)

// Exit codes for attempts in which the command did not exit by itself. GNU timeout and shells use
// the same ones.
const (
	TimedOut   = 124 // cut short by a timeout
	Failed     = 125 // the program that runs the command failed
	CannotRun  = 126 // found, but could not be started
	NotFound   = 127 // not found
	SignalBase = 128 // killed by the signal n: SignalBase + n
)

// Result is how an attempt ended.
type Result struct {
	Code   int            // exit code, as a shell reports it
	Signal syscall.Signal // that killed the command; 0 = none did
	Cut    error          // the cause of the context, if its end cut the attempt short, or nil
	Err    error          // why the command could not be started, or nil
	Lost   error          // why the Runner lost input or output of the command, or nil
	Took   time.Duration  // from start to end
}

// Stop is a cause of a context. When the context ends, the command gets Signal instead of SIGTERM.
type Stop struct{ Signal syscall.Signal }

func (s Stop) Error() string { return "stopped by " + Name(s.Signal) }

// Busy reports whether the command could not be started for a transient reason: the system is short
// of processes, memory or files, or the program's file is still being written.
func (res Result) Busy() bool { return errors.Is(res.Err, syscall.ETXTBSY) || short(res.Err) }

// short reports whether the system lacked what a start needs.
func short(err error) bool {
	for _, lack := range []syscall.Errno{
		syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE,
	} {
		if errors.Is(err, lack) {
			return true
		}
	}
	return false
}

func startCode(err error) int {
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return NotFound
	case short(err):
		return Failed
	}
	return CannotRun
}

// signalOf returns the signal for a command that is cut short for that cause; 0 for no cause.
func signalOf(cause error) syscall.Signal {
	var stop Stop
	switch {
	case cause == nil:
		return 0
	case errors.As(cause, &stop):
		return stop.Signal
	}
	return syscall.SIGTERM
}

// String describes the end of the attempt in a few words.
func (res Result) String() string {
	switch {
	case res.Lost != nil:
		return "failed to copy " + res.Lost.Error()
	case res.Err != nil:
		return "cannot start: " + reason(res.Err).Error()
	case errors.As(res.Cut, new(Stop)):
		return res.Cut.Error()
	case res.Cut != nil:
		return fmt.Sprintf("timed out after %v", res.Took.Round(time.Millisecond))
	case res.Signal != 0:
		return "killed by " + Name(res.Signal)
	}
	return fmt.Sprintf("exit status %d", res.Code)
}

// reason returns an error of package exec or os without the name of the command.
func reason(err error) error {
	var search *exec.Error
	var system *fs.PathError
	switch {
	case errors.As(err, &search):
		return search.Err
	case errors.As(err, &system):
		return system.Err
	}
	return err
}
