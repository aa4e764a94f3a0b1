package reboundhttp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/rebound-go/rebound/fault"
)

// attemptTrace holds the connTrace of a call's attempts. It is made when a Base looks for a trace,
// because a trace costs five allocations and a Base without net/http never looks.
type attemptTrace struct {
	built   atomic.Pointer[connTrace]
	looks   *looks
	uses    *connUses
	counted bool // uses counts the connections, because there are timeouts that need it
}

// connTrace counts what net/http does in an attempt. Without it, the Transport would miss requests
// that net/http sent again, and could not prove that there was no connection to send the request
// on.
type connTrace struct {
	asked, conns, sent atomic.Int32

	uses    *connUses
	counted bool
	conn    net.Conn // of this attempt, if counted; guarded by uses.mu
	own     httptrace.ClientTrace
}

// looks records whether Base looks for a trace, as net/http and its wrappers do. With a Base that
// does not, most requests need no record. That saves an allocation of 480 bytes, a fifth of the
// time of a request to a Base without a network.
type looks struct {
	seen atomic.Bool
	none atomic.Uint32 // requests so far without a look
}

// expected reports whether the next request needs a record. A Base that has answered from a cache
// may use net/http later, so one request in 16 has a record for good.
func (l *looks) expected() bool {
	if l.seen.Load() {
		return true
	}
	n := l.none.Add(1)
	return n <= 8 || n%16 == 0
}

// traceKey is the key under which package httptrace stores a trace in a context. The key is not
// exported, so a lookup in a keyContext reveals it.
var traceKey = func() (key any) {
	httptrace.ContextClientTrace(keyContext{context.Background(), &key})
	return key
}()

// keyContext records the key of each lookup.
type keyContext struct {
	context.Context
	key *any
}

func (c keyContext) Value(key any) any {
	*c.key = key
	return nil
}

// within returns the trace for a context inside ctx. If ctx has a trace, its functions are called
// too.
func (a *attemptTrace) within(ctx context.Context) *httptrace.ClientTrace {
	if t := a.built.Load(); t != nil {
		return &t.own
	}
	a.looks.seen.Store(true)
	t := &connTrace{uses: a.uses, counted: a.counted}
	t.own.GetConn = func(string) { t.asked.Add(1) }
	t.own.GotConn = t.gotConn
	t.own.WroteHeaders = func() { t.sent.Add(1) }
	if httptrace.ContextClientTrace(ctx) != nil {
		httptrace.WithClientTrace(ctx, &t.own) // adds the calls of the trace in ctx
	}
	// Two goroutines of net/http may look at the same time.
	if !a.built.CompareAndSwap(nil, t) {
		t = a.built.Load()
	}
	return &t.own
}

// gotConn may be called several times in one attempt, because net/http may move to another
// connection.
func (t *connTrace) gotConn(info httptrace.GotConnInfo) {
	var slot *net.Conn
	if t.counted {
		slot = &t.conn
	}
	// A connection that was closed here carries nothing. A request that got no other was not sent, and
	// even a POST may be repeated.
	if t.uses.hold(slot, info.Conn) {
		t.conns.Add(1)
	}
}

// take returns the counts of the attempt that has just ended, and resets them for the next.
func (a *attemptTrace) take() connCounts {
	t := a.built.Load()
	if t == nil {
		return connCounts{}
	}
	return connCounts{int(t.asked.Swap(0)), int(t.conns.Swap(0)), int(t.sent.Swap(0))}
}

// takeConn returns the connection of the attempt that has just ended, or nil. The caller must
// release it.
func (a *attemptTrace) takeConn() net.Conn {
	t := a.built.Load()
	if t == nil {
		return nil
	}
	return t.uses.take(&t.conn)
}

// connCounts are the counts of one attempt.
type connCounts struct {
	asked int // requests for a connection
	conns int // open connections that it got
	sent  int // request headers
}

// unsent reports whether the attempt asked for a connection and never had one that was open.
func (c connCounts) unsent() bool { return c.asked > 0 && c.conns == 0 }

// unsent is f, the fault of err, with the proof that the request was not sent. If a proxy refused
// to connect, net/http returns only the text of the proxy's status.
func unsent(f fault.Fault, err error) fault.Fault {
	if f.Kind == fault.Unknown {
		for errors.Unwrap(err) != nil {
			err = errors.Unwrap(err)
		}
		if code := statusCalled(err.Error()); code != 0 {
			f = fault.Status(code)
			f.Detail = "proxy: " + f.Detail
		}
	}
	f.Sent = fault.NotSent
	return f
}

// statusCalled is the code of the bad status with this text, or 0.
func statusCalled(text string) int {
	for code := 400; code < 600; code++ {
		if text != "" && http.StatusText(code) == text {
			return code
		}
	}
	return 0
}
