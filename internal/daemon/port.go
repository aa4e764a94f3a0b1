package daemon

import (
	"math/rand/v2"
	"net"
	"strconv"
)

// Systems take the ports of outgoing connections, and of listeners that ask for any, from above
// these.
const (
	lowestPort  = 20000
	highestPort = 32000
)

// FreePort returns a port of the loopback interface that nothing uses. It stays free while the
// caller does not listen, unless another program asks for this very port. Two calls at the same
// time seldom return the same port. After 100 ports in use, FreePort returns the error of the
// last one.
func FreePort() (port int, err error) {
	for range 100 {
		port = lowestPort + rand.IntN(highestPort-lowestPort)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}
