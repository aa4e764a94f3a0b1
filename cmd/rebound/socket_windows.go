package main

import "net"

// listenUnix opens a socket. On Windows it has the permissions of its directory.
func listenUnix(path string) (net.Listener, error) { return net.Listen("unix", path) }
