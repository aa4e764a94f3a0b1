package reboundhttp

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// Call is what a response took to get.
type Call struct {
	// Attempts is how often the request was sent, or was to be sent when no connection could be
	// had. It includes the times that net/http sent it again by itself.
	Attempts int

	// Waits are the times between the attempts that the policy made, from the end of one to the
	// beginning of the next.
	Waits []time.Duration

	// Err, a *rebound.Error, says why the request was not repeated, or not any more. Nil if the
	// last attempt was good.
	Err error
}

// CallOf returns what a response of a [Transport] took to get. A response that shows no trace of
// a Transport, and one that was good at once, took one attempt.
func CallOf(resp *http.Response) Call {
	if r := recordOf(resp); r != nil && r.resp == resp {
		return r.call
	}
	return Call{Attempts: 1}
}

// record is what is kept of a call. It hangs on the context of the response's request, because
// whoever wraps or replaces a response's body leaves that alone; and it is a context itself, which
// saves one.
type record struct {
	context.Context
	call  Call
	waits [4]time.Duration // room for the first of call.Waits
	resp  *http.Response   // that the call ended with; others may come to share the context
	req   http.Request     // one with the record in its context, to be allocated at once

	asked, conns, sent atomic.Int32 // what the trace heard in this attempt
}

type recordKey struct{}

// Value finds the record itself.
func (r *record) Value(key any) any {
	if key == (recordKey{}) {
		return r
	}
	return r.Context.Value(key)
}

func recordOf(resp *http.Response) *record {
	if resp == nil || resp.Request == nil {
		return nil
	}
	r, _ := resp.Request.Context().Value(recordKey{}).(*record)
	return r
}

// noteWait notes how long the wait before this attempt was.
func (c *call) noteWait() {
	if c.rec == nil {
		c.rec = &record{Context: c.req.Context()}
	}
	if c.rec.call.Waits == nil {
		c.rec.call.Waits = c.rec.waits[:0]
	}
	c.rec.call.Waits = append(c.rec.call.Waits, time.Since(c.ended))
}

// tell hangs the record of the call on the response that it ended with. e is nil if that is good.
func (c *call) tell(resp *http.Response, e *rebound.Error) {
	if c.rec == nil && e == nil {
		return
	}
	if c.rec == nil {
		c.rec = &record{Context: c.req.Context()}
	}
	r := c.rec
	r.resp, r.call.Attempts = resp, c.n+c.resent
	if e != nil {
		r.call.Err = e
	}
	if recordOf(resp) == r {
		return
	}
	if c.out != &r.req {
		r.req = *c.out.WithContext(r)
	}
	resp.Request = &r.req
}

// deaf is how many responses a Base may give before it is no longer traced, if until then it has
// never called a trace: it does not use net/http's transport, and a trace costs 6 allocations.
const deaf = 8

func (t *Transport) traced() bool { return t.silent.Load() < deaf }

// traced returns r as a context that listens to what net/http does. Without it nobody could tell
// whether net/http sent a request again, nor that it never had a connection to send it on.
func (r *record) traced() context.Context {
	return httptrace.WithClientTrace(r, &httptrace.ClientTrace{
		GetConn:      func(string) { r.asked.Add(1) },
		GotConn:      func(httptrace.GotConnInfo) { r.conns.Add(1) },
		WroteHeaders: func() { r.sent.Add(1) },
	})
}

// wire is what the trace heard in one attempt.
type wire struct{ asked, conns, sent int }

// unsent reports whether the attempt asked for a connection and was never given one.
func (w wire) unsent() bool { return w.asked > 0 && w.conns == 0 }

// heard is what the trace heard in the attempt that just ended with err.
func (c *call) heard(err error) (w wire) {
	if c.rec == nil {
		return w
	}
	r := c.rec
	w.asked, w.conns, w.sent = take(&r.asked), take(&r.conns), take(&r.sent)
	c.resent += max(0, w.sent-1)
	switch silent := c.t.silent.Load(); {
	case silent == hears || silent == deaf:
	case w.asked > 0:
		c.t.silent.Store(hears)
	case err == nil:
		c.t.silent.CompareAndSwap(silent, silent+1)
	}
	return w
}

// hears, as Transport.silent, means that Base has called a trace.
const hears = -1

func take(n *atomic.Int32) int { return int(n.Swap(0)) }

// unsent is f, the fault of err, with the certainty that the request was not sent. If a proxy
// refused to connect, the text of its status is all that net/http tells.
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
