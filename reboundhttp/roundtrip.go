package reboundhttp

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/rebound-go/rebound"
)

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
}

// RoundTrip sends req, again and again if need be, and returns the last response, whatever its
// status, or a [*rebound.Error]. An invalid Transport or policy fails every request with reason
// Invalid, before anything is sent.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	p, addKey, err := t.derive(req)
	if err != nil {
		closeBody(req)
		return nil, &rebound.Error{Reason: rebound.Invalid, Cause: err}
	}
	rt := roundTrip{t: t, req: req, plan: p, addKey: addKey}
	resp, err := rt.loop()
	if err == nil && rt.n == 1 && rt.resent == 0 && rt.body == nil {
		return resp, nil // CallOf needs no record for it
	}
	return rt.finish(resp, err)
}

// loop is rebound.Do of attempt, for which it keeps the delays.
func (rt *roundTrip) loop() (*http.Response, error) {
	l := rebound.Begin(rt.req.Context(), rt.plan.policy)
	for {
		resp, err := rebound.Try(&l, func(ctx context.Context) (*http.Response, error) {
			return rt.attempt(ctx)
		})
		if err == nil {
			l.Succeed()
			return resp, nil
		}
		d := l.Decide(err)
		if !d.Retry {
			return nil, l.Stop(d.Reason, nil)
		}
		if err := l.Retry(d.Delay); err != nil {
			return nil, err
		}
		rt.delay = d.Delay
	}
}

// prepare makes the request that is sent, once for all attempts. It is the caller's own if nothing
// is to be added to it.
func (rt *roundTrip) prepare() {
	buffer := bufferBody(rt.req)
	if rt.plan.timeouts != (timeouts{}) || rt.addKey || buffer || rt.t.looks.expected() {
		rt.record()
	} else {
		rt.out = rt.req
	}
	if rt.addKey {
		rt.out.Header = addKey(rt.req.Header)
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
		rt.rec = &record{Context: rt.req.Context()}
		rt.rec.conns.looks = &rt.t.looks
		if rt.plan.timeouts != (timeouts{}) {
			rt.rec.conns.uses = &rt.t.uses
		}
		rt.rec.req = *rt.req.WithContext(rt.rec)
		rt.out = &rt.rec.req
	}
	return rt.rec
}

// addKey returns a copy of h with an Idempotency-Key of 128 random bits.
func addKey(h http.Header) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set("Idempotency-Key", rand.Text())
	return h
}

// finish turns the result of Do into that of RoundTrip.
func (rt *roundTrip) finish(resp *http.Response, err error) (*http.Response, error) {
	if rt.body != nil {
		rt.body.finish()
	}
	if rt.n == 0 {
		closeBody(rt.req)
	}
	if err == nil {
		rt.record().attach(resp, rt.n+rt.resent, nil)
		return resp, nil
	}
	e := rt.completed(err.(*rebound.Error))
	if rt.bad == nil || e.Reason == rebound.Canceled {
		rt.discard()
		return nil, e
	}
	if rt.n > 1 {
		rt.bad.Header = final(rt.bad.Header)
	}
	rt.record().attach(rt.bad, rt.n+rt.resent, e)
	return rt.bad, nil
}

// errDeadline is the Cause of PastDeadline: a user of http.Client.Timeout has set no deadline.
var errDeadline = errors.New("of the request's context or http.Client.Timeout")

// completed returns e with the attempts that net/http added, and with the source of a deadline. It
// copies e, which Observe may keep.
func (rt *roundTrip) completed(e *rebound.Error) *rebound.Error {
	past := e.Reason == rebound.PastDeadline && e.Cause == nil
	if rt.resent == 0 && !past {
		return e
	}
	copied := *e
	copied.Attempts += rt.resent
	if past {
		copied.Cause = errDeadline
	}
	return &copied
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
