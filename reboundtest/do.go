// Package reboundtest is for the tests of programs that use rebound:
//
//   - [Do] makes a call without waiting, and tells how often and how long it would have waited;
//   - a [Scripted] function fails the way it is told to;
//   - a [Server] plays a list of answers and breakdowns on a real connection;
//   - [TestGate] checks that a type keeps the contract of [rebound.Gate].
//
// Calls that must really wait belong into a bubble of testing/synctest, where waiting takes no
// time.
package reboundtest

import (
	"context"
	"errors"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

// Trace is what a call did.
type Trace[T any] struct {
	Value    T               // what fn returned last
	Attempts int             // how often fn was called
	Delays   []time.Duration // the waits between attempts, one for each retry decided on
}

// Do calls fn as [rebound.Do] does, under a context without a deadline, but never waits: it adds
// the waits up instead. The waits are without jitter, so that the same failures make the same
// trace, to the nanosecond. The error is the [*rebound.Error] that the real call would return.
//
// All of p takes part: its gates, its breaker, its budget and its Observe see what they would see
// of a real call. The clock, though, stands still between attempts. MaxElapsed and the elapsed
// times that are reported count the waits, and for an attempt that ran into its AttemptTimeout
// that time; but no breaker cools down in a wait, and no budget refills. A test that empties the
// budget of a policy that others share may use [rebound.Policy.Clone].
//
// The time of an attempt's context is real. Outside of testing/synctest, an fn that hangs does so
// for p.AttemptTimeout, or for good if there is none.
func Do[T any](p *rebound.Policy, fn func(context.Context) (T, error)) (Trace[T], error) {
	c := &call{p: p, fields: p.Clone()}
	var trace Trace[T]
	for {
		v, err := attempt(c, fn)
		if c.attempt > trace.Attempts {
			trace.Value, trace.Attempts = v, c.attempt
		}
		if err == nil {
			c.succeeded()
			return trace, nil
		}
		delay, err := c.failed(err)
		if err != nil {
			return trace, err
		}
		trace.Delays = append(trace.Delays, delay)
	}
}

// attempt has the engine itself make one attempt, behind all gates. An error is always an
// [*rebound.Error].
func attempt[T any](c *call, fn func(context.Context) (T, error)) (T, error) {
	limit := c.timeout()
	return rebound.Do(context.Background(), c.single(limit), func(ctx context.Context) (T, error) {
		c.attempt++
		c.waited = false
		v, err := fn(ctx)
		if ctx.Err() != nil {
			c.elapsed += limit
		}
		return v, err
	})
}

// call is the account of one call.
type call struct {
	p       *rebound.Policy // as given: its budget is the one that counts
	fields  *rebound.Policy // a copy to read from, never nil
	attempt int
	elapsed time.Duration // by the clock that stands still
	prev    time.Duration
	waited  bool          // a retry was announced, and has not begun
	last    rebound.Error // of the last attempt that failed
}

// single is the policy of one attempt.
func (c *call) single(timeout time.Duration) *rebound.Policy {
	one := c.fields.Clone()
	one.Attempts = 1
	one.MaxElapsed = 0
	one.AttemptTimeout = timeout
	one.Budget = budget.Unlimited
	one.Observe = nil
	return one
}

// timeout is the time that the next attempt has; 0 = all the time in the world.
func (c *call) timeout() time.Duration {
	d := c.fields.AttemptTimeout
	if d > 0 && c.fields.MaxElapsed > 0 {
		d = min(d, c.fields.MaxElapsed-c.elapsed)
	}
	return max(d, 0)
}

func (c *call) succeeded() {
	c.p.Success()
	c.event(rebound.Event{Kind: rebound.Succeeded})
}

// failed decides what follows an attempt that ended with err, and returns the wait before the next
// one, or the error to stop with.
func (c *call) failed(err error) (time.Duration, error) {
	var e *rebound.Error
	errors.As(err, &e)
	if e.Attempts == 0 {
		if c.waited {
			c.p.ReturnRetry(c.last.Fault)
		}
		return 0, c.stop(e.Reason, e.Cause)
	}
	c.last = *e
	if c.attempt == 1 {
		if invalid := c.p.Validate(); invalid != nil {
			return 0, c.stop(rebound.Invalid, invalid)
		}
	}
	d := c.p.Decide(rebound.State{
		Attempt: c.attempt, Elapsed: c.elapsed, Prev: c.prev, U: -1,
	}, e.Fault)
	if !d.Retry {
		return 0, c.stop(d.Reason, nil)
	}
	if refusal := c.p.Refusal(d.Delay); refusal != nil {
		return 0, c.stop(rebound.Rejected, refusal)
	}
	if refusal := c.p.TakeRetry(e.Fault); refusal != nil {
		return 0, c.stop(rebound.OutOfBudget, refusal)
	}
	c.waited = true
	c.event(rebound.Event{Kind: rebound.Retrying, Fault: e.Fault, Err: e.Err, Delay: d.Delay})
	c.prev = d.Delay
	c.elapsed += d.Delay
	return d.Delay, nil
}

func (c *call) stop(r rebound.Reason, cause error) error {
	e := outline(c.fields.Attempts)
	e.Policy, e.Attempts, e.Reason = c.fields.Name, c.attempt, r
	e.Fault, e.Err, e.Cause = c.last.Fault, c.last.Err, cause
	e.Elapsed = c.elapsed
	if e.Err != nil && e.Fault.Kind == fault.None {
		c.p.Success() // an answer
	}
	c.event(rebound.Event{
		Kind: rebound.GaveUp, Fault: e.Fault, Err: e, Reason: r, Announced: c.waited,
	})
	return e
}

// outline is an error of the engine's own making, which knows better than its fields can tell how
// many attempts there may be.
func outline(attempts int) *rebound.Error {
	p := &rebound.Policy{Attempts: attempts}
	err := rebound.Run(context.Background(), p, func(context.Context) error {
		return rebound.Permanent(errors.New("outline"))
	})
	var e *rebound.Error
	errors.As(err, &e)
	return e
}

func (c *call) event(e rebound.Event) {
	if c.fields.Observe == nil {
		return
	}
	e.Policy, e.Attempt, e.Elapsed = c.fields.Name, c.attempt, c.elapsed
	c.fields.Observe(context.Background(), e)
}
