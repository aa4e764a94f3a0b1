//go:build unix && !linux

package process

import "syscall"

// dieWithParent does nothing: there is no way to ask for it here.
func dieWithParent(*syscall.SysProcAttr) {}

// Adopt does nothing: init collects what commands leave behind.
func Adopt() {}

// setDefault does nothing.
func setDefault(syscall.Signal) bool { return false }
