package reboundhttp

import (
	"context"
	"net/http"
	"time"
)

// Call describes the attempts behind a response.
type Call struct {
	// Attempts is the number of attempts, including those that failed to connect. It includes the
	// times that net/http itself sent the request again.
	Attempts int

	// Waits are the policy's delays between the attempts. The time that attempts spent in gates is not
	// included.
	Waits []time.Duration

	// Hedges is the number of these Attempts that were hedges: see [Transport.Hedge].
	Hedges int

	// HedgeWon reports whether the response is that of a hedge.
	HedgeWon bool

	// Err is a *rebound.Error whose Reason is why there was no further attempt. Nil = the last attempt
	// succeeded.
	Err error
}

// CallOf describes the attempts that a [Transport] made to get a response. It returns one attempt
// for a response that succeeded at once, and for a response that is not from a Transport.
func CallOf(resp *http.Response) Call {
	if r := recordOf(resp); r != nil && r.resp == resp {
		return r.call
	}
	return Call{Attempts: 1}
}

// record holds the data of a call. It is in the context of the response's request, because code
// that replaces a response's body does not change the request. The record is itself that context,
// which saves an allocation.
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
	r.conns.looks, r.conns.uses, r.conns.counted = &t.looks, &t.uses, p.timeouts != nil
	return r
}

// recordKey is a separate type, so that no other package's key equals it.
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

// statusError returns space for the error of a bad response. Observe may keep the first one, so
// later ones have space of their own.
func (r *record) statusError() *StatusError {
	if r.bad.Response == nil {
		return &r.bad
	}
	return new(StatusError)
}

// addWait adds a delay. The first has room in the record, since most calls have at most one.
func (r *record) addWait(d time.Duration) {
	if r.call.Waits == nil {
		r.call.Waits = r.wait[:0]
	}
	r.call.Waits = append(r.call.Waits, d)
}

// attach makes [CallOf] find the record through resp. The response of a hedge, or of a Base that is
// not net/http's, may hold another request, or none.
func (r *record) attach(resp *http.Response) {
	r.resp = resp
	if resp.Request != &r.req && recordOf(resp) != r {
		resp.Request = &r.req
	}
}
