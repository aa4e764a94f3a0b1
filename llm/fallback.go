package llm

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundhttp"
)

// Fallback calls fn with the first of several models, providers or deployments, and with others
// where one fails, until one answers. All of it is one call by p: its Attempts and MaxElapsed, its
// gates, and what Observe sees are those of the whole chain, and a [Transport] or any
// [reboundhttp.Transport] that is reached with the context given to fn makes a single attempt, and
// leaves its own policy aside. A nil p is what [Policy] returns, one for all chains.
//
// A model that fails in passing (a reset, a time-out, a 500) gets a second try. One that fails so
// again, that is out of capacity or limits the rate, is left alone for as long as it asks or p
// says, and the first of the others that is ready comes next, without a wait. One that cannot
// answer in this call is not asked again: it has no quota left, its context is too short, its key
// is wrong, it wants a wait beyond MaxRetryAfter. So put the model that you want most first.
//
// The first try of each model is free; further ones draw on p's budget. A failure after output of a
// stream, [StreamError.Output], ends the chain. The error is a [*rebound.Error] for the last
// attempt.
func Fallback[M, T any](
	ctx context.Context, p *rebound.Policy, models []M, fn func(context.Context, M) (T, error),
) (v T, err error) {
	c := newChain(ctx, p, len(models))
	if len(models) == 0 {
		return v, c.stop(rebound.Invalid, errNoModels)
	}
	for {
		v, err = rebound.Do(ctx, c.attempt(), func(ctx context.Context) (T, error) {
			c.attempts++
			c.models[c.at].tried = true
			return fn(reboundhttp.WithPolicy(ctx, c.below), models[c.at])
		})
		if err == nil {
			c.succeeded()
			return v, nil
		}
		if stop := c.failed(err.(*rebound.Error)); stop != nil {
			return v, stop
		}
	}
}

var errNoModels = errors.New("llm: Fallback was given no models")

// chain is the account of one call of Fallback.
type chain struct {
	ctx      context.Context
	p        *rebound.Policy
	once     *rebound.Policy // makes one attempt of p's, gates and breaker included
	below    *rebound.Policy // for the transports below
	start    time.Time
	models   []model
	at       int           // the model that is asked
	attempts int           // made
	prev     time.Duration // the wait before this attempt
	fault    fault.Fault   // of the last failure
	last     error         // its error
}

// model is what a call knows of one model.
type model struct {
	tried, dead bool
	failures    int       // that passed
	ready       time.Time // is left alone until then
}

func newChain(ctx context.Context, p *rebound.Policy, models int) *chain {
	if p == nil {
		p = shared
	}
	c := &chain{ctx: ctx, p: p, start: time.Now(), models: make([]model, models)}
	c.once = p.Clone()
	c.once.Attempts, c.once.MaxElapsed, c.once.Observe = 1, 0, nil
	c.once.Budget = budget.Unlimited
	if c.once.Classify == nil {
		c.once.Classify = Classify
	}
	c.below = &rebound.Policy{Name: p.Name, Attempts: 1, Classify: c.once.Classify}
	return c
}

// attempt is the policy of the next attempt, whose time is cut to what is left.
func (c *chain) attempt() *rebound.Policy {
	if c.p.AttemptTimeout > 0 && c.p.MaxElapsed > 0 {
		c.once.AttemptTimeout = max(1, min(c.p.AttemptTimeout, c.p.MaxElapsed-c.elapsed()))
	}
	return c.once
}

func (c *chain) elapsed() time.Duration { return time.Since(c.start) }

// failed decides what follows an attempt. It returns nil when another is due, after having waited
// for it, or else the error to stop with.
func (c *chain) failed(e *rebound.Error) error {
	switch e.Reason {
	case rebound.Canceled, rebound.Rejected, rebound.Invalid:
		return c.ended(e)
	}
	c.fault, c.last = e.Fault, e.Err
	if invalid := c.p.Validate(); invalid != nil && c.attempts == 1 {
		return c.stop(rebound.Invalid, invalid)
	}
	if broken := (*StreamError)(nil); errors.As(e.Err, &broken) && broken.Output {
		return c.stop(rebound.NotRetryable, nil)
	}
	d := c.p.Decide(c.state(), c.fault)
	c.note(d)
	if reason := c.over(d); reason != "" {
		return c.stop(reason, nil)
	}
	return c.move()
}

func (c *chain) state() rebound.State {
	s := rebound.State{Attempt: c.attempts, Prev: c.prev, Elapsed: c.elapsed(), U: random()}
	if deadline, ok := c.ctx.Deadline(); ok {
		s.Left = max(time.Until(deadline), 1)
	}
	return s
}

// note keeps what the failure says of the model. A policy's own limit says nothing of it.
func (c *chain) note(d rebound.Decision) {
	m := &c.models[c.at]
	m.failures++
	m.ready = time.Now().Add(d.Delay)
	m.dead = !d.Retry
}

// over returns why there is no further attempt whatever the model, or "".
func (c *chain) over(d rebound.Decision) rebound.Reason {
	switch {
	case d.Reason == rebound.Canceled || d.Reason == rebound.Exhausted:
		return d.Reason
	case c.p.NonIdempotent && c.fault.Sent == fault.MaybeDone:
		return rebound.NotIdempotent
	case c.p.Attempts != rebound.Unlimited && c.attempts >= c.limit() && c.next() >= 0:
		return rebound.Exhausted
	case c.next() < 0:
		return d.Reason
	}
	return ""
}

func (c *chain) limit() int {
	const byDefault = 3 // of rebound.Policy
	if c.p.Attempts == 0 {
		return byDefault
	}
	return c.p.Attempts
}

// next is the model that is asked next: the first of the others that is ready, else whichever will
// be ready first; -1 if all are dead.
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

func passing(k fault.Kind) bool { return k == fault.Transient || k == fault.Unknown }

// move goes to the next model, if time and budget allow, and waits until it is ready. Where the
// budget does not allow another try of one, there may be one that was never tried.
func (c *chain) move() error {
	next, s := c.next(), c.state()
	wait := max(0, time.Until(c.models[next].ready))
	switch {
	case c.p.MaxElapsed > 0 && wait >= c.p.MaxElapsed-s.Elapsed:
		return c.stop(rebound.PastElapsed, nil)
	case s.Left != 0 && wait >= s.Left:
		return c.stop(rebound.PastDeadline, nil)
	}
	if c.models[next].tried {
		if refusal := c.p.TakeRetry(c.fault); refusal != nil {
			if next, wait = c.untried(), 0; next < 0 {
				return c.stop(rebound.OutOfBudget, refusal)
			}
		}
	}
	c.event(rebound.Event{Kind: rebound.Retrying, Fault: c.fault, Err: c.last, Delay: wait})
	if wait > 0 {
		pause(c.ctx, wait) // the next attempt sees whether ctx ended
	}
	c.at, c.prev = next, wait
	return nil
}

// untried is the first model that was never tried, -1 if there is none.
func (c *chain) untried() int {
	return slices.IndexFunc(c.models, func(m model) bool { return !m.tried })
}
