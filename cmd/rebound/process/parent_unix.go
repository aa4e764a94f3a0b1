//go:build unix && !linux

package process

import "syscall"

// dieWithParent does nothing: there is no way to ask for it here.
func dieWithParent(*syscall.SysProcAttr) {}

// Adopt does nothing: init buries what commands leave behind.
func Adopt() {}
