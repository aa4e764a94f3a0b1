package reboundhttp

import (
	"net/http"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/internal/httppolicy"
)

// derive returns the plan for a request to its host, made from the request's own policy, or else
// from the Transport's. If addKey is true, the request gets an Idempotency-Key. The Transport's
// fields are validated when a host is new; they must not change after that.
func (t *Transport) derive(
	req *http.Request, own *httppolicy.Policy,
) (out *plan, addKey bool, err error) {
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
	switch {
	case own != nil:
		if out, err = t.ownPlan(own, h, r != never, bufferBody(req)); err != nil {
			return nil, false, err
		}
	case bufferBody(req):
		out = t.planFor(t.Policy, h, r != never, true)
	case r != never:
		out = &h.repeat
	default:
		out = &h.careful
	}
	return out, r == withKey, nil
}

// repeatable is whether a request may be sent again.
type repeatable int

const (
	never   repeatable = iota
	asItIs             // as it is
	withKey            // with an Idempotency-Key
)

// repeatable returns whether a request may be sent again. It may if its method is idempotent by RFC
// 9110, section 9.2.2, or by its own specification (QUERY). By convention it also may if it has an
// idempotency key.
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

// hasBody reports whether there is anything to send. net/http makes the same comparison.
func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// bufferBody reports whether the request's body has to be kept as it is sent, so that it can be
// sent again.
func bufferBody(req *http.Request) bool { return req.GetBody == nil && hasBody(req) }

// newHost returns the host of that name. Its budget has room for the retries of one call by t's own
// policy. It stays the only budget while the host is known: a larger one for another policy would
// be a second allowance.
func (t *Transport) newHost(name string) *host {
	h := &host{name: name, budget: &budget.Budget{}}
	h.budget.Capacity = max(h.budget.Size(), float64(t.Policy.MaxAttempts()-1))
	h.repeat = *t.planFor(t.Policy, h, true, false)
	h.careful = *t.planFor(t.Policy, h, false, false)
	return h
}

// ownPlan is a plan that was made for a context's policy, and what it was made for.
type ownPlan struct {
	plan
	repeat, bufferBody bool
}

// ownPlan returns planFor of a context's policy. It is made once for the requests of the context
// that are alike.
func (t *Transport) ownPlan(
	p *httppolicy.Policy, h *host, repeat, bufferBody bool,
) (*plan, error) {
	// A host belongs to one Transport.
	if o, ok := p.Plan.Load().(*ownPlan); ok && o.host == h && o.repeat == repeat &&
		o.bufferBody == bufferBody {
		return &o.plan, nil
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	o := &ownPlan{*t.planFor(p.Policy, h, repeat, bufferBody), repeat, bufferBody}
	p.Plan.Store(o)
	return &o.plan, nil
}

// planFor returns the plan of p for requests to h. repeat is whether those requests may be sent
// again.
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
	// The Transport times attempts itself, because the policy's timeout would end before the body is
	// read.
	d.AttemptTimeout = 0
	d.NonIdempotent = d.NonIdempotent || !repeat
	if !d.NonIdempotent {
		out.hedge = t.Hedge
	}
	d.Classify = withAttempt(d.Classify)
	if bufferBody || d.RetryIf != nil {
		d.RetryIf = unlessSpent(d.RetryIf)
	}
	// Every host has its own budget, so that a host that is down does not use up the retries of
	// others.
	if d.Budget == nil && d.Attempts != rebound.Unlimited {
		d.Budget = h.budget
	}
	if t.Breakers != nil {
		d.Gates = append(d.Gates, t.Breakers.For(h.name))
	}
	return out
}
