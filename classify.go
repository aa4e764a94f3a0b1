package rebound

import (
	"context"
	"errors"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// judge notes how the attempt ended, for its gates and for failed.
func (c *call) judge(err error, timedOut bool) {
	if err == nil {
		c.result = fault.OK
		return
	}
	if err == ErrUnset {
		c.result = fault.Skipped // nobody knows how it ended
		return
	}
	c.result = fault.Failed
	c.p.read(&c.fault, c.ctx, err)
	if timedOut {
		c.timedOut(err)
	}
	c.late = c.fault.Kind == fault.Canceled &&
		errors.Is(ended(c.ctx), context.DeadlineExceeded)
}

// ended is ctx.Err, except that it does not wait for the context's timer to notice that its
// deadline has passed: whoever keeps a deadline by other means, as connections do, may be first.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// causeOf is context.Cause of a context that has ended.
func causeOf(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return ended(ctx)
}

// timedOut makes the fault that of an attempt whose own time was up, unless the caller's end or a
// mark decides, or it is an answer all the same.
func (c *call) timedOut(err error) {
	f := &c.fault
	if f.Kind == fault.Canceled || f.Kind == fault.None || fault.Marked(err) {
		return
	}
	f.Kind = fault.Transient
	if !fault.IsTimeout(err) {
		f.Err = &timeoutError{err}
	}
}

// outcome is what the attempt's gates are told of it. A caller whose patience ended with its
// deadline says something about the service; one that went away says nothing.
func (c *call) outcome() fault.Outcome {
	if c.result != fault.Failed {
		return fault.Outcome{Result: c.result}
	}
	o := fault.Outcome{Fault: c.fault}
	if c.late {
		o.Fault.Kind = fault.Transient
	}
	return o
}

// Fault says what err means as the outcome of an attempt made under ctx: what p.Classify makes of
// it, marks, and the end of the caller's own context, which alone makes a failure Canceled. It is
// for loops that are not Do. A nil error is the zero Fault.
func (p *Policy) Fault(ctx context.Context, err error) (f fault.Fault) {
	if err == nil {
		return f
	}
	if p == nil {
		p = &shared
	}
	p.read(&f, ctx, err)
	return f
}

// read is Fault for an error that is not nil. It fills in f: a Fault is large, and handed on by
// value it cost a failure more time than the wait's arithmetic.
func (p *Policy) read(f *fault.Fault, ctx context.Context, err error) {
	if p.Classify == nil {
		*f = fault.Of(err)
	} else {
		*f = fault.Settle(p.Classify(err), err)
		if permanentBelow(err) {
			f.Kind = fault.Permanent
		}
	}
	if ended(ctx) == nil {
		if f.Kind == fault.Canceled {
			f.Kind = fault.Transient // something else was canceled, not this call
		}
		return
	}
	if f.Kind != fault.None && (f.Kind != fault.Permanent || !fault.Marked(err)) {
		f.Kind = fault.Canceled
	}
}

// timeoutError is a failure of an attempt whose own time was up, where the error does not say so.
type timeoutError struct{ err error }

func (e *timeoutError) Error() string { return "attempt timed out: " + textOf(e.err) }
func (e *timeoutError) Unwrap() error { return e.err }
func (e *timeoutError) Timeout() bool { return true }
