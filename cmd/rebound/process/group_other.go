//go:build !unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// group is the command alone: there are no groups of processes here.
type group struct {
	command *os.Process
	ended   chan struct{} // closed when the command has ended
	code    int
}

func own(*exec.Cmd, bool) {}

func newGroup(p *os.Process, _ bool) *group {
	g := &group{command: p, ended: make(chan struct{}), code: Failed}
	go func() {
		if state, err := p.Wait(); err == nil {
			g.code = state.ExitCode()
		}
		close(g.ended)
	}()
	return g
}

// signal kills the command, because this system has no signals.
func (g *group) signal(syscall.Signal) { _ = g.command.Kill() }

func (g *group) alive() bool { return false }

func (g *group) exit() (int, syscall.Signal) { return g.code, 0 }

// reap does nothing: nothing is adopted here.
func (r *Runner) reap() {}

func (r *Runner) collect() {}

// Pass does nothing, because this system has no signals.
func (r *Runner) Pass(os.Signal) {}
