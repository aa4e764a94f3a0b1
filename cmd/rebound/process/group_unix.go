//go:build unix

package process

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// group is the processes of an attempt.
type group struct {
	id    int // of the group; negative, if that is the caller's and the command alone is meant
	alone *os.Process
}

// own puts the command into a group of its own, if it is to have one.
func own(cmd *exec.Cmd, group bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: group}
	dieWithParent(cmd.SysProcAttr)
}

func newGroup(p *os.Process, foreground bool) *group {
	if foreground {
		return &group{alone: p}
	}
	return &group{id: p.Pid}
}

// signal reaches all of the group, and wakes what is stopped so that it can see it.
func (g *group) signal(sig syscall.Signal) {
	if g.alone != nil {
		_ = g.alone.Signal(sig) // it may have ended
		return
	}
	_ = syscall.Kill(-g.id, sig)
	if sig != syscall.SIGSTOP && sig != syscall.SIGKILL {
		_ = syscall.Kill(-g.id, syscall.SIGCONT)
	}
}

// alive reports whether the group has processes, once those are buried that are dead and were left
// to us.
func (g *group) alive() bool {
	if g.alone != nil {
		return false
	}
	for {
		pid, err := syscall.Wait4(-g.id, nil, syscall.WNOHANG, nil)
		if pid <= 0 && err != syscall.EINTR {
			break
		}
	}
	return !errors.Is(syscall.Kill(-g.id, 0), syscall.ESRCH)
}

func killedBy(state *os.ProcessState) syscall.Signal {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}

// Name is a signal's name, such as SIGTERM.
func Name(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return sig.String()
}

// ByName returns the signal of that name, with or without SIG; 0 for an unknown one.
func ByName(name string) syscall.Signal {
	if sig := unix.SignalNum(name); sig != 0 {
		return sig
	}
	return unix.SignalNum("SIG" + name)
}

// Stops are the signals that ask a program to end, but for those that our own caller has us ignore,
// as nohup does.
func Stops() (sigs []os.Signal) {
	for _, sig := range []os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
	} {
		if !signal.Ignored(sig) {
			sigs = append(sigs, sig)
		}
	}
	return sigs
}

// Forwards are the signals whose meaning is the command's own, and SIGTSTP.
func Forwards() []os.Signal {
	return []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGTSTP}
}

// Pass hands a signal of [Forwards] to the attempt under way. SIGTSTP, the Ctrl-Z of a terminal,
// stops the calling program too, and when that goes on, the attempt goes on.
func (r *Runner) Pass(sig os.Signal) {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	if s != syscall.SIGTSTP {
		r.Forward(s)
		return
	}
	goesOn := make(chan os.Signal, 1)
	signal.Notify(goesOn, syscall.SIGCONT)
	defer signal.Stop(goesOn)
	r.Forward(syscall.SIGSTOP) // SIGTSTP does not stop a group without a shell
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-goesOn // this thread may run on for a moment before it is stopped
	r.Forward(syscall.SIGCONT)
}

// KeepPipes has a write to a closed pipe fail, where it would end the program and leave the command
// behind.
func KeepPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// unlink takes a temporary file's name, so that nothing is left of it, whatever happens.
func unlink(f *os.File) { _ = os.Remove(f.Name()) }

func discard(*os.File) {}
