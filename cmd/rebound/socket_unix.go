//go:build unix

package main

import (
	"net"
	"syscall"
)

// listenUnix opens a socket to which its owner alone may connect, from the first moment on: a chmod
// after it would come too late. The umask is the process's, so this runs before other files are
// made.
func listenUnix(path string) (net.Listener, error) {
	defer syscall.Umask(syscall.Umask(0o177))
	return net.Listen("unix", path)
}
