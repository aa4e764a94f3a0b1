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

// Stops returns the signals that ask a program to end.
func Stops() []os.Signal { return []os.Signal{os.Interrupt} }

// Forwards returns nothing.
func Forwards() []os.Signal { return nil }

// FailWrites does nothing, because a write to a closed pipe always returns an error here.
func FailWrites() {}

// Adopt does nothing.
func Adopt() {}

// Die does nothing, because no program ends by a signal here.
func Die(syscall.Signal) {}

// Gone returns false, because this system cannot report it.
func Gone(*os.File) bool { return false }
