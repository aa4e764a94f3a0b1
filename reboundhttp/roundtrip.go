package reboundhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/internal/httppolicy"
)

// RoundTrip sends req, with retries, and returns the last response, with any status, or a
// [*rebound.Error]. If the Transport or the policy is invalid, every request fails with reason
// Invalid before anything is sent.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	call := httppolicy.Take(req.Context())
	p, addKey, err := t.derive(req, call.Own)
	if err != nil {
		closeBody(req)
		return nil, &rebound.Error{Reason: rebound.Invalid, Cause: err}
	}
	rt := roundTrip{t: t, req: req, plan: p, gate: call.Gate, addKey: addKey}
	resp, err := rt.loop()
	if err == nil && rt.n == 1 && rt.resent+rt.hedges == 0 && rt.body == nil {
		return resp, nil // CallOf needs no record for it
	}
	return rt.finish(resp, err)
}

// loop is rebound.Do of an attempt. It is written out because the delays are recorded and attempts
// may be hedged.
func (rt *roundTrip) loop() (*http.Response, error) {
	l := rebound.Begin(rt.req.Context(), rt.plan.policy)
	l.Gate = rt.gate
	for {
		var resp *http.Response
		var err, stop error
		if rt.plan.hedge == nil {
			resp, err = rebound.Try(&l, func(ctx context.Context) (*http.Response, error) {
				rt.begin()
				return rt.send(ctx)
			})
		} else if resp, err, stop = rt.hedged(&l); stop != nil {
			return nil, stop
		}
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

// finish turns the result of loop into that of RoundTrip.
func (rt *roundTrip) finish(resp *http.Response, err error) (*http.Response, error) {
	if rt.body != nil {
		rt.body.finish()
	}
	if rt.n == 0 {
		closeBody(rt.req)
	}
	if err == nil {
		rt.attach(resp, nil)
		return resp, nil
	}
	e := rt.completed(err.(*rebound.Error))
	// After a cancellation the caller expects its context's error, as from net/http, and no response.
	if rt.bad == nil || e.Reason == rebound.Canceled {
		rt.discard()
		return nil, e
	}
	// If there was no retry, an SDK may retry the failure. After retries it must not, because the
	// attempts would multiply.
	if rt.n > 1 {
		rt.bad.Header = final(rt.bad.Header)
	}
	rt.attach(rt.bad, e)
	return rt.bad, nil
}

// attach makes [CallOf] of resp describe the call.
func (rt *roundTrip) attach(resp *http.Response, err error) {
	r := rt.record()
	r.call.Attempts, r.call.Err = rt.n+rt.resent+rt.hedges, err
	r.call.Hedges, r.call.HedgeWon = rt.hedges, rt.hedgeWon
	r.attach(resp)
}

// errDeadline is the Cause of PastDeadline. It names http.Client.Timeout, because users of this
// field may not know that it sets a deadline.
var errDeadline = errors.New("of the request's context or http.Client.Timeout")

// completed returns e with the attempts that net/http added, and with the source of a deadline. It
// copies e, because Observe may keep the original.
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

// closeBody closes the body of a request that was not sent. A RoundTripper must always close it.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
