//go:build unix

package main

import (
	"net"
	"syscall"
)

// listenUnix opens a socket that only its owner may connect to. Until a chmod after Listen, others
// could connect. The umask is that of the whole process, so no other goroutine may create files
// meanwhile.
func listenUnix(path string) (net.Listener, error) {
	defer syscall.Umask(syscall.Umask(0o177))
	return net.Listen("unix", path)
}
