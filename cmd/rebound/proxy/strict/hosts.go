package strict

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// IsLoopback reports whether a host is localhost or a loopback address.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Leaves reports whether a path has a part that some server reads as "..".
func Leaves(path string) bool {
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if name, _, _ := strings.Cut(part, ";"); name == ".." {
			return true
		}
	}
	return false
}

// Hosts returns the Host headers that clients of a loopback listener may send. For another address
// it returns an error, and for a unix socket nil, which accepts any Host.
func Hosts(addr net.Addr) ([]string, error) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return nil, nil // a unix socket, which a browser cannot reach
	}
	if !tcp.IP.IsLoopback() {
		return nil, errors.New("this is not a loopback address, so it needs a token: want --token-env")
	}
	var hosts []string
	for _, name := range []string{"localhost", "127.0.0.1", "[::1]", net.JoinHostPort(
		tcp.IP.String(), "")} {
		hosts = append(hosts, fmt.Sprintf("%s:%d", strings.TrimSuffix(name, ":"), tcp.Port))
	}
	return hosts, nil
}
