package reboundhttp

import (
	"net/http"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/internal/httppolicy"
)

// derive returns the plan for a request: the policy of its context, or else the Transport's, for
// its host. addKey is whether the request gets an Idempotency-Key. The Transport's fields are
// checked when a host is new, as they must not change later.
func (t *Transport) derive(req *http.Request) (out *plan, addKey bool, err error) {
	name := ""
	if req.URL != nil {
		name = req.URL.Host
	}
	h := t.hosts.find(name)
	if h == nil {
		if err := t.Validate(); err != nil {
			return nil, false, err
		}
		h = t.hosts.add(t.newHost(name))
	}
	r := t.repeatable(req)
	p, own := httppolicy.Of(req.Context())
	switch {
	case own:
		if err := p.Validate(); err != nil {
			return nil, false, err
		}
		out = t.planFor(p, h, r != never, bufferBody(req))
	case bufferBody(req):
		out = t.planFor(t.Policy, h, r != never, true)
	case r != never:
		out = &h.repeat
	default:
		out = &h.careful
	}
	return out, r == withKey, nil
}

// repeatable is whether a request may be made twice.
type repeatable int

const (
	never   repeatable = iota
	asItIs             // as it is
	withKey            // with an Idempotency-Key
)

// repeatable says which requests may be repeated: by RFC 9110, the methods that do the same when
// done twice; by custom, those with an idempotency key.
func (t *Transport) repeatable(req *http.Request) repeatable {
	switch req.Method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY":
		return asItIs
	}
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if _, ok := req.Header[name]; ok { // even without a value, as in net/http
			return asItIs
		}
	}
	switch {
	case t.IdempotencyKeys:
		return withKey
	case t.Idempotent != nil && t.Idempotent(req):
		return asItIs
	}
	return never
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// bufferBody reports whether the request's body has to be kept, to be sent again.
func bufferBody(req *http.Request) bool { return req.GetBody == nil && hasBody(req) }

// newHost returns the host of t with this name. Its budget holds the retries of one call by t's
// own policy, and is the only one for as long as the host is known: a larger one made for another
// policy would be a second allowance.
func (t *Transport) newHost(name string) *host {
	h := &host{name: name, budget: &budget.Budget{}}
	h.budget.Capacity = max(h.budget.Size(), float64(t.Policy.MaxAttempts()-1))
	h.repeat = *t.planFor(t.Policy, h, true, false)
	h.careful = *t.planFor(t.Policy, h, false, false)
	return h
}

// planFor returns the plan of p for requests to h. repeat is whether they may be made twice.
func (t *Transport) planFor(p *rebound.Policy, h *host, repeat, bufferBody bool) *plan {
	d := p.Clone()
	if d.Classify == nil {
		d.Classify = t.Classify
	}
	out := &plan{
		policy:   d,
		host:     h,
		readBody: d.Classify != nil || d.RetryIf != nil || d.Observe != nil,
	}
	limits := timeouts{
		d.AttemptTimeout, t.FirstByteTimeout, t.IdleTimeout, d.MaxElapsed, t.baseHasTimeouts(),
	}
	if limits != (timeouts{}) {
		out.timeouts = &limits
	}
	// The Transport times attempts itself: the policy's timeout would end before the body is read.
	d.AttemptTimeout = 0
	d.NonIdempotent = d.NonIdempotent || !repeat
	if !d.NonIdempotent {
		out.hedge = t.Hedge
	}
	d.Classify = withAttempt(d.Classify)
	if bufferBody || d.RetryIf != nil {
		d.RetryIf = unlessSpent(d.RetryIf)
	}
	// Each host has a budget, since a host that is down must not take the retries of the others.
	if d.Budget == nil && d.Attempts != rebound.Unlimited {
		d.Budget = h.budget
	}
	if t.Breakers != nil {
		d.Gates = append(d.Gates, t.Breakers.For(h.name))
	}
	return out
}
