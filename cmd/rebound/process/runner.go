// Package process runs a command again and again, each time as a group of processes of its own, of
// which nothing is left when an attempt has failed or was cut short.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// The exit codes that GNU timeout and shells have for what is no exit of the command itself.
const (
	TimedOut   = 124 // cut short because its time was up
	CannotRun  = 126 // found, but could not be started
	NotFound   = 127 // not found
	SignalBase = 128 // killed by the signal n: SignalBase + n
)

// Runner runs one command, one attempt at a time. Its fields must not be changed once it has run.
type Runner struct {
	// Args are the command and its arguments.
	Args []string

	// Stdin is what every attempt reads from the beginning. Nil = nothing.
	Stdin *Input

	// Stdout and Stderr take the output. An *os.File is handed to the command itself, unless Hold
	// or Watch is set.
	Stdout, Stderr io.Writer

	// Hold keeps what an attempt writes to stdout back until Release.
	Hold bool

	// Watch is called with every line of output, by two goroutines, in pieces if it is very long.
	Watch func(line []byte)

	// KillAfter is how long processes have to end after a signal. Then they are killed.
	KillAfter time.Duration

	// Foreground leaves the command in the group of the caller, where it can use the terminal.
	// Signals then reach the command alone, and not what it started.
	Foreground bool

	mu    sync.Mutex
	group *group // of the attempt under way, or the last one
	held  *spool

	hurry     chan struct{} // closed: kill at once
	hurryOnce sync.Once
}

// Result is how an attempt ended.
type Result struct {
	Code   int            // exit code, as a shell would have it
	Signal syscall.Signal // that killed the command; 0 = none did
	Cut    error          // the cause of the end of the context that cut it short, or nil
	Err    error          // why the command could not be started, or nil
	Took   time.Duration  // from start to end
}

// Stop, as the cause of a context's end, has the command stopped with that signal, and not with
// SIGTERM.
type Stop struct{ Signal syscall.Signal }

func (s Stop) Error() string { return "stopped by " + Name(s.Signal) }

// Run makes one attempt, with env beside the environment, and returns when it has ended and, unless
// it exited with 0, all the processes of its group have. When ctx ends, so does the attempt.
func (r *Runner) Run(ctx context.Context, env ...string) Result {
	r.begin()
	began := time.Now()
	cmd := exec.Command(r.Args[0], r.Args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	own(cmd, !r.Foreground)
	s, err := r.connect(cmd)
	if err == nil {
		err = r.start(cmd)
	}
	s.started()
	if err != nil {
		s.close()
		return Result{Code: startCode(err), Err: err, Took: time.Since(began)}
	}
	g := r.current()
	res := r.wait(ctx, cmd, g)
	if res.Cut == nil && res.Code == 0 {
		res.Cut = s.drain(ctx) // the output of what the command left behind is part of it
	}
	if res.Cut != nil || res.Code != 0 {
		r.finish(g, signalOf(res.Cut))
	}
	s.close()
	if res.Cut != nil && res.Code == 0 {
		res.Code = TimedOut
	}
	res.Took = time.Since(began)
	return res
}

// start starts the command. A signal that comes meanwhile is delivered once it runs.
func (r *Runner) start(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := cmd.Start()
	if err == nil {
		r.group = newGroup(cmd.Process, r.Foreground)
	}
	return err
}

// begin makes what an attempt needs, and forgets the one before.
func (r *Runner) begin() {
	r.rush()
	r.mu.Lock()
	r.group = nil
	r.mu.Unlock()
	if r.held != nil {
		r.held.Close()
		r.held = nil
	}
	if r.Hold {
		r.held = &spool{}
	}
}

// rush returns the channel that Kill closes.
func (r *Runner) rush() chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hurry == nil {
		r.hurry = make(chan struct{})
	}
	return r.hurry
}

// wait waits for the command itself, and has it stopped when ctx ends.
func (r *Runner) wait(ctx context.Context, cmd *exec.Cmd, g *group) (res Result) {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-ctx.Done():
		res.Cut = context.Cause(ctx)
		g.signal(signalOf(res.Cut))
		select {
		case <-done:
		case <-r.hurry:
			g.signal(syscall.SIGKILL)
			<-done
		case <-time.After(r.KillAfter):
			g.signal(syscall.SIGKILL)
			<-done
		}
	}
	res.Code = cmd.ProcessState.ExitCode()
	if sig := killedBy(cmd.ProcessState); sig != 0 {
		res.Code, res.Signal = SignalBase+int(sig), sig
	}
	return res
}

// finish ends what is left of the group. SIGTERM goes to those, too, who have got another signal:
// shells have what they start in the background ignore SIGINT.
func (r *Runner) finish(g *group, sent syscall.Signal) {
	if !g.alive() {
		return
	}
	if sent != syscall.SIGTERM {
		g.signal(syscall.SIGTERM)
	}
	patience := time.After(r.KillAfter)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for killed := false; g.alive(); {
		hurry := r.hurry
		if killed {
			hurry = nil
		}
		select {
		case <-tick.C:
			continue
		case <-hurry:
		case <-patience:
			if killed {
				return // not even SIGKILL ends it: it hangs in the kernel
			}
		}
		g.signal(syscall.SIGKILL)
		killed, patience = true, time.After(time.Second)
	}
}

// Clean ends what the last attempt has left behind, as Run does after an exit code other than 0.
func (r *Runner) Clean() {
	if g := r.current(); g != nil {
		r.finish(g, 0)
	}
}

// Kill has the attempt under way, and all later ones that must be stopped, killed at once.
func (r *Runner) Kill() {
	hurry := r.rush()
	r.hurryOnce.Do(func() { close(hurry) })
}

// Forward hands a signal on to the attempt under way, if there is one.
func (r *Runner) Forward(sig syscall.Signal) {
	if g := r.current(); g != nil {
		g.signal(sig)
	}
}

func (r *Runner) current() *group {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.group
}

// Release writes what the last attempt wrote to stdout, if it was held.
func (r *Runner) Release() error {
	if r.held == nil {
		return nil
	}
	_, err := io.Copy(r.Stdout, io.NewSectionReader(r.held, 0, r.held.size))
	r.held.Close()
	r.held = nil
	return err
}

// signalOf is what a command that is cut short for that cause gets; 0 for none.
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

func startCode(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return NotFound
	}
	return CannotRun
}

// String tells the end of the attempt in a few words.
func (res Result) String() string {
	switch {
	case res.Err != nil:
		return "cannot start: " + res.Err.Error()
	case errors.As(res.Cut, new(Stop)):
		return res.Cut.Error()
	case res.Cut != nil:
		return fmt.Sprintf("timed out after %v", res.Took.Round(time.Millisecond))
	case res.Signal != 0:
		return "killed by " + Name(res.Signal)
	}
	return fmt.Sprintf("exit status %d", res.Code)
}
