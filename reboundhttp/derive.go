package reboundhttp

import (
	"net/http"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/httppolicy"
	"github.com/rebound-go/rebound/internal/mark"
)

// plan is a policy as the Transport carries it out: a copy made for one host, without what the
// Transport does itself.
type plan struct {
	policy  *rebound.Policy
	timeout time.Duration // of each attempt
	curious bool          // somebody may look at the responses that are repeated
}

// traits are what matters of a request.
type traits struct {
	repeat bool // it may be made twice
	mint   bool // it needs an Idempotency-Key for that
	once   bool // its body has to be kept to be sent again
}

// traits says which requests may be repeated: by RFC 9110, the methods that do the same when done
// twice; by custom, those with an idempotency key.
func (t *Transport) traits(req *http.Request) traits {
	r := traits{once: hasBody(req) && req.GetBody == nil}
	switch req.Method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY":
		r.repeat = true
		return r
	}
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if _, ok := req.Header[name]; ok { // even without a value, as in net/http
			r.repeat = true
			return r
		}
	}
	r.mint = t.IdempotencyKeys
	r.repeat = r.mint || t.Idempotent != nil && t.Idempotent(req)
	return r
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// plan chooses the plan of c's request.
func (t *Transport) plan(c *call) error {
	c.traits = t.traits(c.req)
	name := ""
	if c.req.URL != nil {
		name = c.req.URL.Host
	}
	h, err := t.host(name)
	if err != nil {
		return err
	}
	p, given := httppolicy.Of(c.req.Context())
	switch {
	case given:
		if err := p.Validate(); err != nil {
			return err
		}
		c.plan = t.derive(p, h, c.traits)
	case c.once:
		c.plan = t.derive(t.Policy, h, c.traits)
	case c.repeat:
		c.plan = h.repeat
	default:
		c.plan = h.careful
	}
	return nil
}

// derive makes a plan of p for requests to h.
func (t *Transport) derive(p *rebound.Policy, h *host, r traits) plan {
	d := p.Clone()
	if d.Classify == nil {
		d.Classify = t.Classify
	}
	out := plan{policy: d, timeout: d.AttemptTimeout}
	out.curious = d.Classify != nil || d.RetryIf != nil || d.Observe != nil
	// The Transport times attempts itself, as rebound's own timeout would end while the body is being
	// read.
	d.AttemptTimeout = 0
	d.NonIdempotent = d.NonIdempotent || !r.repeat
	d.Classify = classify(d.Classify)
	if r.once || d.RetryIf != nil {
		d.RetryIf = unlessSpent(d.RetryIf)
	}
	// One for each host, since a host that is down must not take the retries of the others.
	if d.Budget == nil && d.Attempts != rebound.Unlimited {
		d.Budget = h.budget
	}
	if t.Breakers != nil {
		d.Gates = append(d.Gates, t.Breakers.For(h.name))
	}
	return out
}

// classify adds to a classifier what the Transport knows of an attempt. To fault.Of, the
// classifier for nil, an attemptError says it itself.
func classify(own fault.Classifier) fault.Classifier {
	if own == nil {
		return nil
	}
	return func(err error) fault.Fault {
		if e, ok := err.(*attemptError); ok {
			return e.over(mark.Settle(own(e.err), e.err))
		}
		return own(err)
	}
}

// unlessSpent adds to a predicate that a request whose body is gone cannot be repeated, whatever
// it and marks say.
func unlessSpent(own func(fault.Fault) bool) func(fault.Fault) bool {
	return func(f fault.Fault) bool {
		err := f.Err
		if e, ok := err.(*attemptError); ok {
			if e.spent {
				return false
			}
			err = e.err
		}
		if own != nil && !mark.On(err) {
			return own(f)
		}
		return f.Kind != fault.None && f.Kind != fault.Permanent
	}
}
