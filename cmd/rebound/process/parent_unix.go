//go:build unix && !linux

package process

import (
	"os"
	"syscall"
)

// dieWithParent does nothing, because this system cannot do it.
func dieWithParent(*syscall.SysProcAttr) {}

// Adopt does nothing. init collects the processes that commands leave behind.
func Adopt() {}

// systemForwards returns nothing.
func systemForwards() []os.Signal { return nil }

// setDefault does nothing, and returns false.
func setDefault(syscall.Signal) bool { return false }
