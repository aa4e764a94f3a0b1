package reboundhttp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

var errNothing = errors.New("reboundhttp: Base returned neither a response nor an error")

// roundTrip is one call of RoundTrip. It lives on the stack; what outlives it is in its record.
type roundTrip struct {
	t      *Transport
	req    *http.Request // the caller's
	plan   *plan
	addKey bool // the request gets an Idempotency-Key

	out    *http.Request  // what is sent, before limits and another body
	body   *replay        // the request's body, if req has no GetBody
	source *source        // the body of this attempt, if req has GetBody and Read may fail
	rec    *record        // for CallOf
	n      int            // attempts begun
	resent int            // requests that net/http sent again by itself
	delay  time.Duration  // before this attempt
	bad    *http.Response // the last attempt's, if it failed with one

	hedge    bool // this attempt began beside another
	hedges   int  // attempts that did, before this one
	hedgeWon bool // the last response is that of one
	noHedge  bool // the server was short of room
}

// begin counts an attempt that was admitted, and prepares what is sent.
func (rt *roundTrip) begin() {
	if rt.n++; rt.n == 1 {
		rt.prepare()
	} else {
		rt.record().addWait(rt.delay)
	}
}

// prepare makes the request that is sent, once for all attempts. It is the caller's own if nothing
// is to be added to it.
func (rt *roundTrip) prepare() {
	buffer := bufferBody(rt.req)
	if rt.plan.timeouts != nil || rt.addKey || buffer || rt.t.looks.expected() {
		rt.record()
	} else {
		rt.out = rt.req
	}
	if rt.addKey {
		rt.out.Header = withHeader(rt.req.Header, "Idempotency-Key", rand.Text())
	}
	if buffer {
		rt.body = newReplay(rt.req, rt.t.maxBuffer())
		rt.out.Body, _ = rt.body.open()
		rt.out.GetBody = rt.body.open
	}
}

// record returns the record of the call. It makes one, and sends it with the attempts to come, if
// there is none.
func (rt *roundTrip) record() *record {
	if rt.rec == nil {
		rt.rec = newRecord(rt.req.Context(), rt.t, rt.plan)
		rt.rec.req = *rt.req.WithContext(rt.rec)
		rt.out = &rt.rec.req
	}
	return rt.rec
}

// withHeader returns a copy of h with one more header. What others share is not changed.
func withHeader(h http.Header, name, value string) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set(name, value)
	return h
}

// send makes an attempt that has begun.
func (rt *roundTrip) send(ctx context.Context) (*http.Response, error) {
	req, lim, err := rt.request(ctx)
	if err != nil {
		return nil, err // and the response of the attempt before is the last there is
	}
	rt.discard()
	resp, err := rt.t.base().RoundTrip(req)
	if err == nil && resp == nil {
		err = rebound.Permanent(errNothing)
	}
	if err != nil && resp != nil {
		closeResponse(resp)
	}
	if lim != nil {
		lim.release = rt.releaseConn()
		resp, err = lim.settle(resp, err)
	}
	var counts connCounts
	if rt.rec != nil {
		counts = rt.rec.conns.take()
	}
	rt.resent += max(0, counts.sent-1)
	if err == nil && good(resp.StatusCode) {
		return resp, nil
	}
	if err != nil {
		return nil, rt.failure(err, counts)
	}
	return nil, rt.refusal(resp)
}

// releaseConn returns the function that ends the attempt's use of its connection.
func (rt *roundTrip) releaseConn() func(timeout bool) {
	uses, h := &rt.t.uses, rt.plan.host
	conn := rt.rec.conns.takeConn() // there is a record where there are timeouts
	return func(timeout bool) {
		switch shared := uses.release(conn, timeout); {
		case shared:
			h.stuck.Store(true)
		case timeout && isHTTP2(conn):
			h.closed.Store(time.Now().UnixNano())
		}
	}
}

// request is what this attempt sends, and its limits, nil if it has none. bound is the context that
// MaxElapsed ends; unlike the request's it ends with the attempt, before the body is read.
func (rt *roundTrip) request(bound context.Context) (*http.Request, *limits, error) {
	body, again := rt.out.Body, (rt.n > 1 || rt.hedge) && hasBody(rt.out)
	if again {
		var err error
		if body, err = rt.out.GetBody(); err != nil {
			return nil, nil, rebound.Permanent(&bodyError{"getting again", err})
		}
	}
	if hasBody(rt.out) && rt.body == nil {
		if rt.source = watched(body); rt.source != nil {
			body = rt.source
		}
	}
	lim := rt.plan.timeouts.start(rt.out.Context(), bound)
	fresh := rt.misdirected() || rt.plan.host.leave()
	name, number := rt.t.AttemptHeader, rt.n+rt.hedges
	numbered := name != "" && number > 1
	timed := lim != nil && !lim.bare
	if !timed && !again && !fresh && !numbered && rt.source == nil {
		return rt.out, lim, nil
	}
	ctx := rt.out.Context()
	if timed {
		ctx = lim
	}
	req := rt.out.WithContext(ctx)
	req.Body = body
	req.Close = req.Close || fresh
	if numbered {
		req.Header = withHeader(rt.out.Header, name, strconv.Itoa(number))
	}
	return req, lim, nil
}

// misdirected reports whether the attempt before was answered 421, which holds for its connection.
// The next attempt then needs another connection (RFC 9110, 15.5.20). The idle ones of Base are
// closed for that. An HTTP/2 connection that others use is taken once more, for a request with
// Close, and then no more.
func (rt *roundTrip) misdirected() bool {
	return rt.bad != nil && rt.bad.StatusCode == http.StatusMisdirectedRequest
}

// bodyError is the failure to read the request's body, or to get it for another attempt.
type bodyError struct {
	doing string
	err   error
}

func (e *bodyError) Error() string {
	return "reboundhttp: " + e.doing + " the request's body: " + e.err.Error()
}
func (e *bodyError) Unwrap() error { return e.err }

// discard gives up the response of the attempt before. What there is of its body has been read,
// so that its connection can serve again, unless that was too much.
func (rt *roundTrip) discard() {
	if rt.bad != nil && rt.bad.Body != nil {
		_ = rt.bad.Body.Close()
	}
	if rt.misdirected() {
		rt.t.CloseIdleConnections()
	}
	rt.bad = nil
}

// failure is the error of an attempt that got no response.
func (rt *roundTrip) failure(err error, counts connCounts) error {
	if failed := rt.bodyFailure(); failed != nil {
		return rebound.Permanent(&bodyError{"reading", failed})
	}
	var header tls.RecordHeaderError
	if counts.conns == 0 && errors.As(err, &header) && string(header.RecordHeader[:]) == "HTTP/" {
		err = http.ErrSchemeMismatch // as http.Client does when it sees the error itself
	}
	e := attemptError{
		err: err, unsent: rt.t.isNetHTTP() && counts.unsent(),
		spent: rt.spent(), resent: rt.overdone(counts),
	}
	if e.unsent || e.spent || e.resent {
		return &e
	}
	return err
}

// refusal is the error of an attempt whose response has a bad status. It reads the beginning of
// the response's body if a caller may read it, or its connection may be wanted again.
func (rt *roundTrip) refusal(resp *http.Response) error {
	rt.bad = resp
	e := rt.record().statusError()
	e.Response, e.fault, e.known = resp, answered(resp), true
	if rt.plan.readBody || !inMemory(resp.Body) && !rt.stops(e.fault) {
		e.readBody()
	}
	return rt.mark(e)
}

// stops reports whether f ends the call, as far as the policy alone decides.
func (rt *roundTrip) stops(f fault.Fault) bool {
	return !rt.plan.policy.Decide(rebound.State{Attempt: rt.n, U: -1}, f).Retry
}

// mark adds to a bad response's error that the request cannot be sent again, if that is so.
func (rt *roundTrip) mark(e *StatusError) error {
	if rt.spent() {
		return &attemptError{err: e, spent: true}
	}
	return e
}

// spent reports whether the request cannot be sent again because its body is gone.
func (rt *roundTrip) spent() bool {
	return rt.body != nil && (rt.body.spent() || rt.body.failure() != nil)
}

// bodyFailure returns the error of reading the request's body in this attempt, or nil.
func (rt *roundTrip) bodyFailure() error {
	switch {
	case rt.body != nil:
		return rt.body.failure()
	case rt.source != nil:
		return rt.source.failure()
	}
	return nil
}

// overdone reports whether net/http has sent the request more often in this one attempt than the
// policy would have in all, as it does when a server refuses HTTP/2 streams: that is a layer below
// that retried.
func (rt *roundTrip) overdone(counts connCounts) bool {
	limit := rt.plan.policy.MaxAttempts()
	return limit > 0 && counts.sent > limit
}
