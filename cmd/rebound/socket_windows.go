package main

import "net"

// listenUnix opens a socket. Windows gives it the permissions of its directory.
func listenUnix(path string) (net.Listener, error) { return net.Listen("unix", path) }
