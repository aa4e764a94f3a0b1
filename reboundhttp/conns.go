package reboundhttp

import (
	"crypto/tls"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// connUses counts the attempts that use each connection. After a timeout the connection may be
// dead, but net/http keeps an HTTP/2 connection for later requests, which would time out in turn.
// So the last attempt that uses it closes it. For an instant, net/http may still give it to a
// request. mu guards n, closed and the slots of all attempts.
type connUses struct {
	mu      sync.Mutex
	n       map[net.Conn]int
	closed  map[net.Conn]bool // by release, in the last closedFor
	corpses atomic.Int32      // the length of closed, to be read without mu
}

// closedFor is how long a closed connection is remembered. By then even a busy net/http has
// detected that it was closed.
const closedFor = 10 * time.Second

// hold puts conn into slot, in place of the connection that was there, if any. Without a slot, conn
// is not counted. hold reports whether conn is open. On a closed one nothing can be sent.
func (u *connUses) hold(slot *net.Conn, conn net.Conn) (open bool) {
	if slot == nil && u.corpses.Load() == 0 {
		return true
	}
	if !reflect.ValueOf(conn).Comparable() {
		return true // a custom type that is no key of a map
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if slot != nil {
		u.remove(*slot)
		*slot = conn
		if u.n == nil {
			u.n = map[net.Conn]int{}
		}
		u.n[conn]++
	}
	return !u.closed[conn]
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
	bare := conn
	if outer, ok := conn.(interface{ NetConn() net.Conn }); ok {
		bare = outer.NetConn()
	}
	_ = bare.Close()
	u.remember(conn) // not earlier: until it is closed, a request can be sent on it
	return false
}

// remember records for some time that conn is closed. A connection with TLS has large buffers, and
// only with HTTP/2 it could get another request.
func (u *connUses) remember(conn net.Conn) {
	if _, secure := conn.(*tls.Conn); secure && !isHTTP2(conn) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed == nil {
		u.closed = map[net.Conn]bool{}
	}
	u.closed[conn] = true
	u.corpses.Store(int32(len(u.closed)))
	time.AfterFunc(closedFor, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.closed, conn)
		u.corpses.Store(int32(len(u.closed)))
	})
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
