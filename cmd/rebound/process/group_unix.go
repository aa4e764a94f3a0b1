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
	alone   bool // the command is in the caller's group, so only it gets signals

	ended  chan struct{} // closed when the command has ended
	dead   atomic.Bool   // the same
	status syscall.WaitStatus
}

// own puts the command into a group of its own if group is true. It also allows programs that $PATH
// finds in the current folder.
func own(cmd *exec.Cmd, group bool) {
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // shells allow them, too
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: group}
	dieWithParent(cmd.SysProcAttr)
}

func newGroup(p *os.Process, foreground bool) *group {
	return &group{pid: p.Pid, command: p, alone: foreground, ended: make(chan struct{})}
}

// signal sends sig to the whole group, and continues stopped processes so that they react to it.
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

// exit returns the exit code as a shell reports it, and the signal that killed the command or 0.
func (g *group) exit() (int, syscall.Signal) {
	if g.status.Signaled() {
		return SignalBase + int(g.status.Signal()), g.status.Signal()
	}
	return g.status.ExitStatus(), 0
}

// reap starts to collect every child that ends: the command, and the orphans of this and earlier
// attempts, which [Adopt] makes our children. Nothing else would collect them.
func (r *Runner) reap() {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGCHLD)
	go func() {
		for range changed {
			r.collect()
		}
	}()
}

// collect records the end or the stop of the command. Other children that have ended are forgotten.
// While a command starts, collect waits for the lock, because the command's id is not known yet.
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
			go r.Stopped(status.StopSignal()) // it may block, so it must not hold the lock
		}
	}
}

// Pass passes a signal of [Forwards] to the current attempt. SIGTSTP, which Ctrl-Z sends, also
// stops this program. When this program continues, so does the attempt.
func (r *Runner) Pass(sig os.Signal) {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	if s != syscall.SIGTSTP {
		r.forward(s)
		return
	}
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	r.forward(syscall.SIGSTOP) // the command may ignore SIGTSTP
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-continued // this thread may run on for a moment before it is stopped
	r.forward(syscall.SIGCONT)
}
