//go:build unix

package process

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// group is the processes of an attempt.
type group struct {
	pid     int // of the command, and the group
	command *os.Process
	alone   bool // the command is in the group of the caller, and meant alone

	ended  chan struct{} // closed when the command has
	dead   atomic.Bool   // the same
	status syscall.WaitStatus
}

// own puts the command into a group of its own, if it is to have one, and has it found as shells
// find it.
func own(cmd *exec.Cmd, group bool) {
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // $PATH has the folder, and shells run what is there
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: group}
	dieWithParent(cmd.SysProcAttr)
}

func newGroup(p *os.Process, foreground bool) *group {
	return &group{pid: p.Pid, command: p, alone: foreground, ended: make(chan struct{})}
}

// signal reaches all of the group, and wakes what is stopped so that it can see it.
func (g *group) signal(sig syscall.Signal) {
	switch {
	case g.alone && g.dead.Load():
		return
	case g.alone:
		_ = g.command.Signal(sig) // it may have ended
		return
	}
	_ = syscall.Kill(-g.pid, sig)
	if sig != syscall.SIGSTOP && sig != syscall.SIGKILL {
		_ = syscall.Kill(-g.pid, syscall.SIGCONT)
	}
}

// alive reports whether the group has processes.
func (g *group) alive() bool {
	return !g.alone && !errors.Is(syscall.Kill(-g.pid, 0), syscall.ESRCH)
}

// exit returns the exit code, as a shell would have it, and the signal that killed the command.
func (g *group) exit() (int, syscall.Signal) {
	if g.status.Signaled() {
		return SignalBase + int(g.status.Signal()), g.status.Signal()
	}
	return g.status.ExitStatus(), 0
}

// reap has every child collected when it ends: the command, and the orphans of this and earlier
// attempts that [Adopt] makes ours. Nothing else would collect those.
func (r *Runner) reap() {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGCHLD)
	go func() {
		for range changed {
			r.collect()
		}
	}()
}

// collect notes the end or the stop of the command, and forgets other children that have ended.
// While a command starts it waits, until the id of that is known.
func (r *Runner) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG|syscall.WUNTRACED, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case pid <= 0:
			return
		case r.group == nil || r.group.pid != pid || r.group.dead.Load():
		case !status.Stopped():
			r.group.status = status
			r.group.dead.Store(true)
			close(r.group.ended)
			_ = r.group.command.Release()
		case !r.Foreground && r.Stopped != nil &&
			(status.StopSignal() == syscall.SIGTTIN || status.StopSignal() == syscall.SIGTTOU):
			go r.Stopped(status.StopSignal()) // which may block, and must not keep the lock
		}
	}
}

// Pass hands a signal of [Forwards] to the attempt under way. SIGTSTP, the Ctrl-Z of a terminal,
// stops the calling program too, and when that goes on, the attempt goes on.
func (r *Runner) Pass(sig os.Signal) {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	if s != syscall.SIGTSTP {
		r.forward(s)
		return
	}
	goesOn := make(chan os.Signal, 1)
	signal.Notify(goesOn, syscall.SIGCONT)
	defer signal.Stop(goesOn)
	r.forward(syscall.SIGSTOP) // SIGTSTP does not stop a group without a shell
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-goesOn // this thread may run on for a moment before it is stopped
	r.forward(syscall.SIGCONT)
}
