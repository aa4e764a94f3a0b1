package rebound

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// call is the account of one call: what its loop knows between attempts. It lives on the stack of
// the function that runs the loop. The generic functions below only call fn and pass gates; all
// decisions are in methods of call, which do not depend on fn's type.
type call struct {
	ctx     context.Context
	p       *Policy
	attempt int             // attempts begun
	start   time.Duration   // on the clock of now, once it is
	prev    time.Duration   // the wait before this attempt
	result  fault.Result    // of this attempt
	late    bool            // the caller's deadline passed in the middle of this attempt
	started bool            // somebody needed the start
	broke   bool            // the body of an Attempts loop has left it
	waited  bool            // a retry was announced, and has not begun
	fault   fault.Fault     // of the last attempt that failed
	last    error           // its error
	reason  Reason          // why this attempt was not let in; empty if it was
	refusal error           // what kept it out
	entry   context.Context // what gates may wait under
}

func newCall(ctx context.Context, p *Policy) call {
	c := call{ctx: ctx, p: p, entry: ctx}
	if p.MaxElapsed > 0 || p.Observe != nil {
		c.begin()
	}
	return c
}

func (c *call) begin() { c.start, c.started = now(), true }

func (c *call) elapsed() time.Duration { return now() - c.start }

// now is a clock of which only differences mean something. It costs half of what time.Now does.
func now() time.Duration { return time.Since(epoch) }

var epoch = time.Now()

// plain reports whether a first attempt that succeeds needs no account: there is nothing but
// perhaps a breaker around fn, and nobody asks for times.
func (p *Policy) plain() bool {
	return p.Observe == nil && len(p.Gates) == 0 && p.AttemptTimeout|p.MaxElapsed == 0
}

// loop makes attempts until one succeeds or the call must stop. v is the value so far.
func loop[T any](c *call, fn func(context.Context) (T, error), v T) (T, error) {
	for {
		if c.ctx.Err() != nil {
			return v, c.stop(Canceled, causeOf(c.ctx))
		}
		next, err := attempt(c, fn)
		if c.reason != "" {
			return v, c.keptOut()
		}
		v = next
		if err == nil {
			c.succeeded()
			return v, nil
		}
		if stop := c.failed(err); stop != nil {
			return v, stop
		}
	}
}

// failed decides what follows the attempt that just ended with err. It returns nil when another
// attempt is due, after having waited for it, or else the error to stop with.
func (c *call) failed(err error) error {
	c.last = err
	if !c.started {
		c.begin()
	}
	switch {
	case c.broke:
		return c.stop(NotRetryable, nil)
	case err == ErrUnset:
		return c.stop(Invalid, nil)
	case c.attempt == 1:
		if invalid := c.p.Validate(); invalid != nil {
			return c.stop(Invalid, invalid)
		}
	}
	s := State{Attempt: c.attempt, Prev: c.prev, U: rand.Float64()}
	c.clock(&s)
	d := c.p.decide(&s, &c.fault)
	if !d.Retry {
		return c.stop(d.Reason, c.cause(d.Reason))
	}
	if refusal := c.p.Refusal(d.Delay); refusal != nil {
		return c.stop(Rejected, refusal)
	}
	if refusal := c.p.takeRetry(c.fault.After); refusal != nil {
		return c.stop(OutOfBudget, refusal)
	}
	c.waited = true
	if c.p.Observe != nil {
		c.retrying(d.Delay)
	}
	if !wait(c.ctx, d.Delay) {
		c.p.returnRetry(c.fault.After)
		return c.stop(Canceled, causeOf(c.ctx))
	}
	c.prev = d.Delay
	return nil
}

// clock adds what the clock says to a state, if anything depends on it.
func (c *call) clock(s *State) {
	if c.p.MaxElapsed > 0 {
		s.Elapsed = c.elapsed()
	}
	if deadline, ok := c.ctx.Deadline(); ok {
		s.Left = max(time.Until(deadline), 1)
	}
}

// cause is what ended the call from outside, for a reason that Decide gave.
func (c *call) cause(r Reason) error {
	if r == Canceled {
		return causeOf(c.ctx)
	}
	return nil
}

// stop ends the call and returns its error.
func (c *call) stop(r Reason, cause error) error {
	e := &Error{
		Policy: c.p.Name, Attempts: c.attempt, Reason: r, Fault: c.fault, Err: c.last,
		Cause: cause, limit: max(c.p.attempts(), 0),
	}
	if r == Canceled {
		e.ctxErr = ended(c.ctx)
	}
	if c.started {
		e.Elapsed = c.elapsed()
	}
	if c.fault.Kind == fault.None && c.last != nil {
		c.p.deposit() // an answer: the service is well
	}
	if c.p.Observe != nil {
		c.event(Event{
			Kind: GaveUp, Fault: c.fault, Err: e, Elapsed: e.Elapsed, Reason: r,
			Announced: c.waited,
		})
	}
	return e
}

func (c *call) succeeded() {
	c.p.deposit()
	if c.p.Observe != nil {
		c.event(Event{Kind: Succeeded})
	}
}

func (c *call) retrying(d time.Duration) {
	c.event(Event{Kind: Retrying, Fault: c.fault, Err: c.last, Delay: d})
}

func (c *call) event(e Event) {
	e.Policy, e.Attempt = c.p.Name, c.attempt
	if e.Elapsed == 0 {
		e.Elapsed = c.elapsed()
	}
	c.p.Observe(c.ctx, e)
}
