package reboundhttp

import (
	"crypto/tls"
	"net"
	"reflect"
	"sync"
)

// connUses counts the attempts that use each connection. After a timeout the connection may be
// dead, but net/http keeps an HTTP/2 connection for later requests, which would time out in turn.
// So the last attempt that uses it closes it. mu guards n and the slots of all attempts.
type connUses struct {
	mu sync.Mutex
	n  map[net.Conn]int
}

// hold puts conn into slot, in place of the connection that was there, if any.
func (u *connUses) hold(slot *net.Conn, conn net.Conn) {
	if !reflect.ValueOf(conn).Comparable() {
		return // a custom type that is no key of a map
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.remove(*slot)
	*slot = conn
	if u.n == nil {
		u.n = map[net.Conn]int{}
	}
	u.n[conn]++
}

// take empties slot and returns the connection that was in it. The caller must release it.
func (u *connUses) take(slot *net.Conn) net.Conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	conn := *slot
	*slot = nil
	return conn
}

// release ends one use of conn, which may be nil. After a timeout it closes conn, unless other
// attempts use it; then it returns true.
func (u *connUses) release(conn net.Conn, timeout bool) (shared bool) {
	u.mu.Lock()
	left := u.remove(conn)
	u.mu.Unlock()
	// Only a timeout makes a connection suspect. After any other failure net/http closes it by itself.
	if conn == nil || !timeout {
		return false
	}
	if left > 0 {
		return true
	}
	// Closing a *tls.Conn first writes an alert, which blocks if the peer is dead.
	if outer, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = outer.NetConn()
	}
	_ = conn.Close()
	return false
}

// remove counts one use less and returns how many are left. The caller holds u.mu.
func (u *connUses) remove(conn net.Conn) int {
	n := u.n[conn] - 1
	if n > 0 {
		u.n[conn] = n
		return n
	}
	delete(u.n, conn)
	return 0
}

// isHTTP2 reports whether conn, which may be nil, speaks HTTP/2 over TLS.
func isHTTP2(conn net.Conn) bool {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	return ok && c.ConnectionState().NegotiatedProtocol == "h2"
}
