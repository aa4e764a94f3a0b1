package reboundhttp

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

// plan is a policy as the Transport carries it out: a copy made for one host, without what the
// Transport does itself.
type plan struct {
	policy  *rebound.Policy
	timeout time.Duration // of each attempt
	curious bool          // somebody may look at the responses that are repeated
}

// plan chooses the plan of c's request.
func (t *Transport) plan(c *call) error {
	repeat, mint := t.repeatable(c.req)
	c.mint = mint
	name := ""
	if c.req.URL != nil {
		name = c.req.URL.Host
	}
	h, err := t.host(name)
	if err != nil {
		return err
	}
	p, given := c.req.Context().Value(policyKey{}).(*rebound.Policy)
	if !given {
		c.plan = h.plans[index(repeat)]
		return nil
	}
	if err := p.Validate(); err != nil {
		return err
	}
	c.plan = t.derive(p, name, h.budgetFor(p), repeat)
	return nil
}

func index(repeat bool) int {
	if repeat {
		return 1
	}
	return 0
}

// repeatable reports whether a request may be made twice, and whether it needs a key for that.
func (t *Transport) repeatable(req *http.Request) (repeat, mint bool) {
	switch req.Method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY":
		return true, false
	}
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if _, ok := req.Header[name]; ok { // even without a value, as in net/http
			return true, false
		}
	}
	if t.IdempotencyKeys {
		return true, true
	}
	return t.Idempotent != nil && t.Idempotent(req), false
}

// derive makes a plan of p for a host. b is the host's budget.
func (t *Transport) derive(p *rebound.Policy, host string, b *budget.Budget, repeat bool) plan {
	d := p.Clone()
	out := plan{policy: d, timeout: d.AttemptTimeout}
	out.curious = d.Classify != nil || d.RetryIf != nil || d.Observe != nil
	d.AttemptTimeout = 0
	d.NonIdempotent = d.NonIdempotent || !repeat
	d.Classify = classify(d.Classify)
	d.RetryIf = retryIf(d.RetryIf)
	if d.Budget == nil && d.Attempts != rebound.Unlimited {
		d.Budget = b
	}
	if t.Breakers != nil {
		d.Gates = append(d.Gates, t.Breakers.For(host))
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
			return e.over(fault.Settle(own(e.err), e.err))
		}
		return own(err)
	}
}

// retryIf adds to a predicate that a request whose body is gone cannot be repeated, whatever it
// and marks say.
func retryIf(own func(fault.Fault) bool) func(fault.Fault) bool {
	return func(f fault.Fault) bool {
		err := f.Err
		if e, ok := err.(*attemptError); ok {
			if e.spent {
				return false
			}
			err = e.err
		}
		if own != nil && !fault.Marked(err) {
			return own(f)
		}
		return f.Kind != fault.None && f.Kind != fault.Permanent
	}
}

// host is what the requests to one host share.
type host struct {
	budget *budget.Budget
	large  atomic.Pointer[budget.Budget] // for policies with more attempts than budget holds
	plans  [2]plan                       // of requests that must not be repeated, and that may
}

func newBudget(p *rebound.Policy) *budget.Budget {
	const least = 10 // the default of budget.Budget
	if p == nil {
		return &budget.Budget{Capacity: least}
	}
	return &budget.Budget{Capacity: float64(max(least, p.Attempts-1))}
}

// budgetFor is the host's budget for calls by p, which holds all the retries of one of them.
func (h *host) budgetFor(p *rebound.Policy) *budget.Budget {
	if p == nil || float64(p.Attempts-1) <= h.budget.Capacity {
		return h.budget
	}
	for {
		b := h.large.Load()
		if b != nil && float64(p.Attempts-1) <= b.Capacity {
			return b
		}
		h.large.CompareAndSwap(b, newBudget(p))
	}
}

// idle reports whether nothing would be lost if h were forgotten.
func (h *host) idle() bool {
	large := h.large.Load()
	return full(h.budget) && (large == nil || full(large))
}

func full(b *budget.Budget) bool { return b.Level() >= b.Capacity }

// manyHosts is how many hosts are remembered before those in good standing are forgotten.
const manyHosts = 1000

// hosts remembers the hosts that requests went to.
type hosts struct {
	known sync.Map // of string to *host

	mu    sync.Mutex // guards what follows, and is held when known grows or shrinks
	count int
	limit int // of count, before idle ones are looked for; 0 = manyHosts
}

func (t *Transport) host(name string) (*host, error) {
	if h, ok := t.hosts.known.Load(name); ok {
		return h.(*host), nil
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	h := &host{budget: newBudget(t.Policy)}
	for _, repeat := range []bool{false, true} {
		h.plans[index(repeat)] = t.derive(t.Policy, name, h.budget, repeat)
	}
	return t.hosts.add(name, h), nil
}

func (s *hosts) add(name string, h *host) *host {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, loaded := s.known.LoadOrStore(name, h); loaded {
		return old.(*host)
	}
	s.count++
	if s.count > max(s.limit, manyHosts) {
		s.forget()
		s.limit = 2 * s.count // if most of them are in debt, let some time pass
	}
	return h
}

func (s *hosts) forget() {
	s.known.Range(func(name, h any) bool {
		if h.(*host).idle() {
			s.known.Delete(name)
			s.count--
		}
		return true
	})
}
