//go:build unix && !linux

package process

import (
	"os"
	"syscall"
)

// dieWithParent does nothing: there is no way to ask for it here.
func dieWithParent(*syscall.SysProcAttr) {}

// Adopt does nothing: init collects what commands leave behind.
func Adopt() {}

// systemForwards are those of [Forwards] that only this system has: none.
func systemForwards() []os.Signal { return nil }

// setDefault does nothing.
func setDefault(syscall.Signal) bool { return false }
