//go:build !unix

package process

import (
	"os"
	"syscall"
)

// sigPipe ends no program here.
const sigPipe = syscall.Signal(-1)

// Name is a signal's name.
func Name(sig syscall.Signal) string { return sig.String() }

// ByName returns no signal.
func ByName(string) syscall.Signal { return 0 }

// Stops are the signals that ask a program to end.
func Stops() []os.Signal { return []os.Signal{os.Interrupt} }

// Forwards are the signals whose meaning is the command's own: none.
func Forwards() []os.Signal { return nil }

// FailWrites does nothing: a write to a closed pipe fails anyway.
func FailWrites() {}

// Adopt does nothing.
func Adopt() {}

// Die does nothing: no program ends by a signal here.
func Die(syscall.Signal) {}

// Gone returns false: there is no way to ask for it here.
func Gone(*os.File) bool { return false }
