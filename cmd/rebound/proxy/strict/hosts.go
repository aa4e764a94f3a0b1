package strict

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// IsLoopback reports whether a host is this machine.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Leaves reports whether a path leads out of the folder that it begins in, as some server reads it.
func Leaves(path string) bool {
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if name, _, _ := strings.Cut(part, ";"); name == ".." {
			return true
		}
	}
	return false
}

// Hosts are the names under which clients may address a loopback listener.
func Hosts(addr net.Addr) ([]string, error) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return nil, nil // a unix socket, which no browser reaches
	}
	if !tcp.IP.IsLoopback() {
		return nil, errors.New("only loopback addresses and unix sockets need no token: want --token")
	}
	var hosts []string
	for _, name := range []string{"localhost", "127.0.0.1", "[::1]", net.JoinHostPort(
		tcp.IP.String(), "")} {
		hosts = append(hosts, fmt.Sprintf("%s:%d", strings.TrimSuffix(name, ":"), tcp.Port))
	}
	return hosts, nil
}
