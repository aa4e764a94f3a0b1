//go:build !unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// group is the command alone: there are no groups of processes here.
type group struct{ process *os.Process }

func own(*exec.Cmd, bool) {}

func newGroup(p *os.Process, _ bool) *group { return &group{p} }

// signal kills: there is no other signal here.
func (g *group) signal(syscall.Signal) { _ = g.process.Kill() }

func (g *group) alive() bool { return false }

func killedBy(*os.ProcessState) syscall.Signal { return 0 }

// Name is a signal's name.
func Name(sig syscall.Signal) string { return sig.String() }

// ByName returns no signal.
func ByName(string) syscall.Signal { return 0 }

// Stops are the signals that ask a program to end.
func Stops() []os.Signal { return []os.Signal{os.Interrupt} }

// Forwards are the signals whose meaning is the command's own: none.
func Forwards() []os.Signal { return nil }

// Pass does nothing: there is no signal to hand on.
func (r *Runner) Pass(os.Signal) {}

// KeepPipes does nothing: a write to a closed pipe fails anyway.
func KeepPipes() {}

// Adopt does nothing.
func Adopt() {}

// unlink does nothing: a file that is open cannot be removed.
func unlink(*os.File) {}

func discard(f *os.File) { _ = os.Remove(f.Name()) }
