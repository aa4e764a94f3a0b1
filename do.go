package rebound

import (
	"context"
	"errors"
	"fmt"

	"github.com/rebound-go/rebound/fault"
)

// Do calls fn until it returns no error, or until p says stop, and returns fn's last value. When
// it fails, the error is an [*Error]; the value is whatever the last call of fn returned.
//
// The context given to fn is ctx itself or, if p has an AttemptTimeout, one that ends when fn
// returns. Do keeps no reference to fn, never runs it in another goroutine, and does not call it
// at all once ctx has ended. A panic in fn goes on to the caller.
func Do[T any](
	ctx context.Context, p *Policy, fn func(context.Context) (T, error),
) (T, error) {
	if p == nil {
		p = &shared
	}
	if !p.plain() || ctx.Err() != nil {
		c := newCall(ctx, p)
		var none T
		return loop(&c, fn, none)
	}
	if p.Breaker != nil {
		return shielded(ctx, p, fn)
	}
	v, err := fn(ctx)
	if err == nil {
		p.deposit()
		return v, nil
	}
	c := call{ctx: ctx, p: p, attempt: 1}
	c.judge(err, false)
	return rest(&c, fn, v, err)
}

// shielded is Do for a plain policy with a breaker. Like the rest of Do, it is what the loop does
// at its first attempt, without the account that only a failure needs.
func shielded[T any](
	ctx context.Context, p *Policy, fn func(context.Context) (T, error),
) (v T, err error) {
	pass, err := p.Breaker.Enter(ctx)
	if err != nil {
		return v, refused(ctx, p, err)
	}
	in := inside{p.Breaker, pass}
	defer in.abandon()
	v, err = fn(ctx)
	if err == nil {
		in.leave(fault.Outcome{Result: fault.OK})
		p.deposit()
		return v, nil
	}
	c := call{ctx: ctx, p: p, attempt: 1}
	c.judge(err, false)
	in.leave(c.outcome())
	return rest(&c, fn, v, err)
}

// refused is the error of a call whose first attempt the breaker has not let in.
func refused(ctx context.Context, p *Policy, err error) error {
	c := call{ctx: ctx, p: p}
	_ = c.refuse(Rejected, err)
	return c.keptOut()
}

// rest goes on after a first attempt that failed.
func rest[T any](
	c *call, fn func(context.Context) (T, error), v T, err error,
) (T, error) {
	if stop := c.failed(err); stop != nil {
		return v, stop
	}
	return loop(c, fn, v)
}

// Run is [Do] for functions that return no value.
func Run(ctx context.Context, p *Policy, fn func(context.Context) error) error {
	_, err := Do(ctx, p, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, fn(ctx)
	})
	return err
}

// DoChecked is [Do] for functions whose result tells whether they succeeded: a result that check
// refuses with an error is a failed attempt, and that error is classified like any other. After
// the last attempt the refused result is returned beside the error.
func DoChecked[T any](
	ctx context.Context, p *Policy, fn func(context.Context) (T, error), check func(T) error,
) (T, error) {
	return Do(ctx, p, func(ctx context.Context) (T, error) {
		v, err := fn(ctx)
		if err == nil {
			err = check(v)
		}
		return v, err
	})
}

// DoElse is [Do] with a second best: when the call fails, for whatever reason but the caller's
// own cancellation, fallback is called once with ctx and Do's error, and its result is returned.
// If fallback fails too, the error returned holds both. The fallback is no attempt: it has no
// AttemptTimeout, passes no gates and raises no event; ctx may be past its deadline.
func DoElse[T any](
	ctx context.Context, p *Policy, fn func(context.Context) (T, error),
	fallback func(context.Context, error) (T, error),
) (T, error) {
	v, err := Do(ctx, p, fn)
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return v, err
	}
	other, ferr := fallback(ctx, err)
	if ferr == nil || errors.Is(ferr, err) {
		return other, ferr
	}
	// The fallback's error comes first where a layer above looks for marks.
	return other, fmt.Errorf("%[2]w; then its fallback failed: %[1]w", ferr, err)
}
