package reboundhttp

import (
	"context"
	"net/http"
	"time"
)

// Call is what a response took to get.
type Call struct {
	// Attempts is how often the request was sent, or was to be sent when no connection could be
	// had. It includes the times that net/http sent it again by itself.
	Attempts int

	// Waits are the delays between the attempts that the policy made. The time that an attempt
	// spent in gates is not included.
	Waits []time.Duration

	// Hedges is how many of the Attempts began beside another that was slow: see Transport.Hedge.
	Hedges int

	// HedgeWon is whether the response is that of a hedge.
	HedgeWon bool

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

// record is what is kept of a call. It hangs on the context of the response's request, because code
// that wraps or replaces a response's body leaves that alone; and it is a context itself, which
// saves one.
type record struct {
	context.Context
	call Call
	wait [1]time.Duration // room for the first of call.Waits
	resp *http.Response   // that the call ended with; others may come to share the context

	// These are here to be allocated at once.
	req http.Request // one with the record in its context
	bad StatusError  // of the first bad response

	conns attemptTrace
}

// newRecord returns the record of requests by plan p within ctx.
func newRecord(ctx context.Context, t *Transport, p *plan) *record {
	r := &record{Context: ctx}
	r.conns.looks = &t.looks
	if p.timeouts != nil {
		r.conns.uses = &t.uses
	}
	return r
}

type recordKey struct{}

// Value returns the record itself for its key, and the trace of its attempts.
func (r *record) Value(key any) any {
	switch key {
	case recordKey{}:
		return r
	case traceKey:
		return r.conns.within(r.Context)
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

// statusError returns room for the error of a bad response. Observe may keep the first one, so the
// others have their own.
func (r *record) statusError() *StatusError {
	if r.bad.Response == nil {
		return &r.bad
	}
	return new(StatusError)
}

func (r *record) addWait(d time.Duration) {
	if r.call.Waits == nil {
		r.call.Waits = r.wait[:0]
	}
	r.call.Waits = append(r.call.Waits, d)
}

// attach makes [CallOf] of resp return what the record holds. The last response of a hedge, or of a
// Base that is not net/http's, may have another request, or none.
func (r *record) attach(resp *http.Response) {
	r.resp = resp
	if resp.Request != &r.req && recordOf(resp) != r {
		resp.Request = &r.req
	}
}
