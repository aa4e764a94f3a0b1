package rebound

import (
	"context"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
)

// attempt makes one attempt: it calls fn behind whatever stands around it.
func attempt[T any](c *call, fn func(context.Context) (T, error)) (v T, err error) {
	switch {
	case c.p.MaxElapsed > 0:
		return bounded(c, fn)
	case c.p.Breaker != nil || len(c.p.Gates) > 0 || c.p.AttemptTimeout > 0:
		return through(c, c.p.Gates, fn)
	}
	c.begins()
	v, err = fn(c.ctx)
	c.judge(err, false)
	return v, err
}

// begins counts an attempt that is let in.
func (c *call) begins() {
	c.attempt++
	c.waited = false
}

// bounded makes one attempt whose gates wait no longer than MaxElapsed allows.
func bounded[T any](c *call, fn func(context.Context) (T, error)) (T, error) {
	if len(c.p.Gates) > 0 {
		ctx, cancel := context.WithTimeout(c.ctx, c.p.MaxElapsed-c.elapsed())
		defer cancel()
		c.entry = ctx
	}
	return through(c, c.p.Gates, fn)
}

// through makes one attempt behind the gates given, the breaker last. It calls itself for each
// gate, so that what a gate gave out is kept on the stack.
func through[T any](
	c *call, gates []Gate, fn func(context.Context) (T, error),
) (v T, err error) {
	if len(gates) == 0 {
		return guarded(c, fn)
	}
	if gates[0] == nil {
		return v, c.refuse(Invalid, c.p.Validate())
	}
	pass, err := gates[0].Enter(c.entry)
	if err != nil {
		return v, c.refuse(Rejected, err)
	}
	left := false
	defer abandon(&left, gates[0], pass)
	v, err = through(c, gates[1:], fn)
	left = true
	gates[0].Leave(pass, c.outcome())
	return v, err
}

func guarded[T any](c *call, fn func(context.Context) (T, error)) (v T, err error) {
	b := c.p.Breaker
	if b == nil {
		return timed(c, fn)
	}
	pass, err := b.Enter(c.ctx)
	if err != nil {
		return v, c.refuse(Rejected, err)
	}
	in := inside{b, pass}
	defer in.abandon()
	v, err = timed(c, fn)
	in.leave(c.outcome())
	return v, err
}

// inside is an attempt that a breaker has let in, and that has not left it yet.
type inside struct {
	breaker *breaker.Breaker // nil once it has left
	pass    fault.Pass
}

func (in *inside) leave(o fault.Outcome) {
	b := in.breaker
	in.breaker = nil
	b.Leave(in.pass, o)
}

// abandon is the deferred half of leave, for an attempt that ended in a panic or a Goexit.
func (in *inside) abandon() {
	if in.breaker != nil {
		in.breaker.Leave(in.pass, fault.Outcome{})
	}
}

// abandon leaves a gate whose attempt ended in a panic or a runtime.Goexit. Deferring a plain
// function costs less than deferring a closure.
func abandon(left *bool, g Gate, pass fault.Pass) {
	if !*left {
		g.Leave(pass, fault.Outcome{})
	}
}

func timed[T any](c *call, fn func(context.Context) (T, error)) (v T, err error) {
	if c.p.MaxElapsed > 0 && c.elapsed() >= c.p.MaxElapsed {
		return v, c.refuse(PastElapsed, nil)
	}
	c.begins()
	if c.p.AttemptTimeout <= 0 {
		v, err = fn(c.ctx)
		c.judge(err, false)
		return v, err
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.attemptTimeout())
	defer cancel()
	v, err = fn(ctx)
	c.judge(err, ctx.Err() != nil)
	return v, err
}

// attemptTimeout is the time this attempt has: what is left of MaxElapsed, if that is less.
func (c *call) attemptTimeout() time.Duration {
	if c.p.MaxElapsed == 0 {
		return c.p.AttemptTimeout
	}
	return min(c.p.AttemptTimeout, c.p.MaxElapsed-c.elapsed())
}

// refuse notes that the attempt was not let in: for the gates around it, it never began.
func (c *call) refuse(r Reason, err error) error {
	switch {
	case ended(c.ctx) != nil:
		r, err = Canceled, causeOf(c.ctx)
	case c.entry != nil && c.entry.Err() != nil:
		r = PastElapsed
	}
	c.reason, c.refusal = r, err
	c.result = fault.Skipped
	return err
}

// keptOut ends a call whose attempt was not let in. The retry that it was to be did not happen.
func (c *call) keptOut() error {
	if c.waited {
		c.p.returnRetry(c.fault.After)
	}
	return c.stop(c.reason, c.refusal)
}
