package llm

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/errtree"
	"github.com/rebound-go/rebound/reboundhttp"
)

// Fallback calls fn with the first of several models, providers or deployments. If one fails, it
// continues with the others, until one answers. The whole chain is one call by p: p's Attempts,
// MaxElapsed, gates and Observe apply to the chain. Under the context given to fn, a [Transport] or
// a [reboundhttp.Transport] makes a single attempt and ignores its own policy. A nil p is the
// policy of [NewPolicy], shared by all chains.
//
// Put the best model first. What follows a failure depends on it:
//   - After a first transient failure (a reset, a timeout, a 500), the same model gets a second
//     attempt after p's delay.
//   - After a second one, an overload or a rate limit, the model is not called for its Retry-After
//     delay, or else for p's delay. The next attempt is made at once with the first other model
//     that is ready.
//   - After a permanent failure, or a Retry-After delay above MaxRetryAfter, the model is not
//     called again. Examples are a quota that is used up, a prompt that is too long, and a wrong
//     key.
//
// The first attempt with each model is not charged to p's budget. Further ones are. A stream that
// fails after output, as [StreamError.Output] reports, ends the chain. The error is a
// [*rebound.Error] for the last attempt.
func Fallback[M, T any](
	ctx context.Context, p *rebound.Policy, models []M, fn func(context.Context, M) (T, error),
) (v T, err error) {
	c := newChain(ctx, p, len(models))
	if len(models) == 0 {
		return v, c.loop.Stop(rebound.Invalid, errNoModels)
	}
	for {
		_, err := rebound.Try(&c.loop, func(ctx context.Context) (T, error) {
			c.models[c.at].tried = true
			var err error
			v, err = fn(reboundhttp.WithPolicy(ctx, c.below), models[c.at])
			return v, err
		})
		if err == nil {
			c.loop.Succeed()
			return v, nil
		}
		if stop := c.failed(err); stop != nil {
			return v, stop
		}
	}
}

var errNoModels = errors.New("llm: Fallback: models is empty: want at least one")

// chain is one call of Fallback.
type chain struct {
	loop   rebound.Loop
	p      *rebound.Policy // of the loop
	below  *rebound.Policy // for the transports below
	models []model
	at     int         // the model of the next attempt
	fault  fault.Fault // of the last failure
}

// model is the state of one model in a call. One goroutine uses it, so it needs no lock.
type model struct {
	tried, dead bool
	failures    int       // transient ones and limits
	ready       time.Time // when it may be called again
}

func newChain(ctx context.Context, p *rebound.Policy, models int) *chain {
	if p == nil {
		p = shared
	}
	if p.Classify == nil {
		// A clone has a fresh budget. The chain must draw on the caller's, which all calls by p share.
		own := p.RetryBudget()
		p = p.Clone()
		p.Classify = Classify
		p.Budget = cmp.Or(p.Budget, own)
	}
	return &chain{
		loop:   rebound.Begin(ctx, p),
		p:      p,
		below:  &rebound.Policy{Name: p.Name, Attempts: 1, Classify: p.Classify},
		models: make([]model, models),
	}
}

// failed decides what follows an attempt. It returns nil when the next attempt is due, after its
// delay. Otherwise it returns the error with which the call ends.
func (c *chain) failed(err error) error {
	d := c.loop.Decide(err)
	switch d.Reason {
	// These end the call, because another model would have the same context, gates and policy.
	case rebound.Canceled, rebound.Rejected, rebound.Invalid:
		return c.loop.Stop(d.Reason, nil)
	}
	// The caller already has part of an answer, which another model's answer would contradict.
	if broken, ok := errtree.As[*StreamError](err); ok && broken.Output {
		return c.loop.Stop(rebound.NotRetryable, nil)
	}
	c.fault = c.loop.Fault()
	c.note(d)
	if reason := c.over(d); reason != "" {
		return c.loop.Stop(reason, nil)
	}
	return c.move()
}

// note records what the failure shows about the model.
func (c *chain) note(d rebound.Decision) {
	m := &c.models[c.at]
	m.failures++
	m.ready = time.Now().Add(d.Delay)
	m.dead = !d.Retry
}

// over returns why no model gets a further attempt, or "".
func (c *chain) over(d rebound.Decision) rebound.Reason {
	attempts, limit := c.loop.State().Attempt, c.p.MaxAttempts()
	switch {
	case d.Reason == rebound.Exhausted:
		return d.Reason
	case c.p.NonIdempotent && c.fault.Sent == fault.MaybeDone:
		return rebound.NotIdempotent
	case limit != rebound.Unlimited && attempts >= limit && c.next() >= 0:
		return rebound.Exhausted
	case c.next() < 0:
		return d.Reason
	}
	return ""
}

// next returns the model for the next attempt. After its first passing failure it is the same
// model. Otherwise it is the first other model that is ready, or else the one that will be ready
// first. It is -1 if all are dead.
func (c *chain) next() int {
	if m := c.models[c.at]; !m.dead && m.failures == 1 && passing(c.fault.Kind) {
		return c.at
	}
	now, best := time.Now(), -1
	for i, m := range c.models {
		switch {
		case m.dead:
		case i != c.at && !m.ready.After(now):
			return i
		case best < 0 || m.ready.Before(c.models[best].ready):
			best = i
		}
	}
	return best
}

// passing reports whether a second attempt with the same model is useful. A limited or overloaded
// model needs time first.
func passing(k fault.Kind) bool { return k == fault.Transient || k == fault.Unknown }

// move goes to the next model, if time and budget allow, and sleeps until that model is ready. If
// the budget has no token for a retry, move chooses a model without an attempt, which costs none.
func (c *chain) move() error {
	next := c.next()
	if c.models[next].tried && c.broke() {
		if fresh := c.untried(); fresh >= 0 {
			next = fresh
		}
	}
	c.at = next
	wait := max(0, time.Until(c.models[next].ready))
	if c.models[next].tried {
		return c.loop.Retry(wait)
	}
	return c.loop.Redirect(wait)
}

// broke reports whether the budget has no token for a retry that costs one. A retry after
// RateLimited costs none.
func (c *chain) broke() bool {
	b := c.p.RetryBudget()
	return b != nil && b.Level() < 1 && c.fault.Kind != fault.RateLimited
}

// untried is the first model without an attempt, or -1.
func (c *chain) untried() int {
	return slices.IndexFunc(c.models, func(m model) bool { return !m.tried })
}
