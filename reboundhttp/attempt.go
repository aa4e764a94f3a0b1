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
	"github.com/rebound-go/rebound/gate"
)

var errNothing = errors.New("reboundhttp: Base returned neither a response nor an error")

// roundTrip is one call of RoundTrip. It stays on the stack. Data that live longer are in its
// record.
type roundTrip struct {
	t      *Transport
	req    *http.Request // the caller's
	plan   *plan
	gate   gate.Gate // of this call; nil = none
	addKey bool      // the request gets an Idempotency-Key

	out    *http.Request  // what is sent, before limits and another body
	body   *replay        // the request's body, if req has no GetBody
	source *source        // the body of this attempt, if req has GetBody and Read may fail
	rec    *record        // for CallOf
	n      int            // attempts begun
	resent int            // requests that net/http sent again by itself
	delay  time.Duration  // before this attempt
	bad    *http.Response // the last attempt's, if it failed with one

	hedge    bool // this attempt is a hedge
	hedges   int  // hedges before this attempt
	hedgeWon bool // the last response is that of a hedge
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

// prepare makes the request that is sent, once for all attempts. If nothing has to be added, that
// is the caller's own request, which saves a copy.
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

// record returns the record of the call. If there is none, it makes one, which the attempts to come
// carry in their context.
func (rt *roundTrip) record() *record {
	if rt.rec == nil {
		rt.rec = newRecord(rt.req.Context(), rt.t, rt.plan)
		rt.rec.req = *rt.req.WithContext(rt.rec)
		rt.out = &rt.rec.req
	}
	return rt.rec
}

// withHeader returns a copy of h with one more header. h may be shared, and a RoundTripper must not
// modify a request.
func withHeader(h http.Header, name, value string) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set(name, value)
	return h
}

// send makes an attempt that the gates have admitted.
func (rt *roundTrip) send(ctx context.Context) (*http.Response, error) {
	req, lim, err := rt.request(ctx)
	if err != nil {
		// The response of the attempt before stays the last one, and is returned to the caller.
		return nil, err
	}
	rt.discard()
	resp, err := rt.t.base().RoundTrip(req)
	if err == nil && resp == nil {
		err = rebound.Permanent(errNothing)
	}
	// A RoundTripper must not return both. If Base does, the response would leak its connection.
	if err != nil && resp != nil {
		closeResponse(resp)
	}
	// The connection is released with the limits, which may be as late as the Close of the body.
	if lim != nil {
		lim.release = rt.releaseConn()
		resp, err = lim.settle(resp, err)
	}
	var counts connCounts
	if rt.rec != nil {
		counts = rt.rec.conns.take()
	}
	// net/http repeats a request by itself after a broken idle connection or a refused stream.
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

// request returns the request of this attempt, and the attempt's limits, or nil without any. bound
// is the context that MaxElapsed ends. Unlike the request's context it ends with the attempt,
// before the body is read.
func (rt *roundTrip) request(bound context.Context) (*http.Request, *limits, error) {
	// The first attempt uses the body that the caller gave; further ones need a new reader.
	body, again := rt.out.Body, (rt.n > 1 || rt.hedge) && hasBody(rt.out)
	if again {
		var err error
		if body, err = rt.out.GetBody(); err != nil {
			return nil, nil, rebound.Permanent(&bodyError{"getting again", err})
		}
	}
	// A replay records its own failures; only other bodies need to be watched.
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
	// Nothing has to change, so the request is sent as it is, without a copy.
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

// misdirected reports whether the answer before was a 421, which applies to the connection. The
// next attempt then needs another connection (RFC 9110, section 15.5.20), so the idle connections
// of Base are closed. An HTTP/2 connection that other requests use cannot be closed. It is used
// once more, for a request with Close set, and then retired.
func (rt *roundTrip) misdirected() bool {
	return rt.bad != nil && rt.bad.StatusCode == http.StatusMisdirectedRequest
}

// bodyError is a failure to read the request's body, or to get it for another attempt. It is the
// caller's failure and not the server's.
type bodyError struct {
	doing string
	err   error
}

func (e *bodyError) Error() string {
	return "reboundhttp: " + e.doing + " the request's body: " + e.err.Error()
}
func (e *bodyError) Unwrap() error { return e.err }

// discard drops the response of the attempt before. Its body has been read already, so that the
// connection can be reused, unless the body was too long.
func (rt *roundTrip) discard() {
	if rt.bad != nil && rt.bad.Body != nil {
		_ = rt.bad.Body.Close()
	}
	if rt.misdirected() {
		rt.t.CloseIdleConnections()
	}
	rt.bad = nil
}

// failure returns the error of an attempt without a response.
func (rt *roundTrip) failure(err error, counts connCounts) error {
	// The body would fail again, and the error that net/http returns may name the connection instead.
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

// refusal returns the error of an attempt whose response has a bad status. It reads the beginning
// of the body if the policy may examine it. Otherwise it reads the body only before another
// attempt, to free the connection.
func (rt *roundTrip) refusal(resp *http.Response) error {
	rt.bad = resp
	e := rt.record().statusError()
	e.Response, e.fault, e.known = resp, answered(resp), true
	if rt.plan.readBody || !inMemory(resp.Body) && !rt.stops(e.fault) {
		e.readBody()
	}
	return rt.mark(e)
}

// stops reports whether the policy would end the call after f. It ignores the budget and the gates.
func (rt *roundTrip) stops(f fault.Fault) bool {
	return !rt.plan.policy.Decide(rebound.State{Attempt: rt.n, U: -1}, f).Retry
}

// mark marks the error of a bad response if the request cannot be sent again.
func (rt *roundTrip) mark(e *StatusError) error {
	if rt.spent() {
		return &attemptError{err: e, spent: true}
	}
	return e
}

// spent reports whether the request cannot be sent again because its body is no longer available.
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
// policy allows in total. It may do so when a server refuses HTTP/2 streams. Then a layer below has
// retried.
func (rt *roundTrip) overdone(counts connCounts) bool {
	limit := rt.plan.policy.MaxAttempts()
	return limit > 0 && counts.sent > limit
}
