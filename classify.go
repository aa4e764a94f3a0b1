package rebound

import (
	"context"
	"errors"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/mark"
)

// classify records how the attempt ended, for its gates and for Decide. timedOut reports that the
// attempt's own context has ended.
func (l *Loop) classify(err error, timedOut bool) {
	l.late = timedOut
	if err == nil {
		l.result = gate.OK
		return
	}
	l.last = err
	if err == ErrUnset { // how the attempt ended is not known
		l.result = gate.Skipped
		l.fault = fault.Fault{Kind: fault.Permanent, Err: err}
		return
	}
	l.result = gate.Failed
	l.p.classify(&l.fault, err)
	l.met = l.fault.Kind
	met := answered(&l.fault, err)
	ctx := l.ctx
	if l.durable && errors.Is(ended(ctx), context.DeadlineExceeded) {
		ctx, timedOut = context.WithoutCancel(ctx), true // the deadline was the attempt's
	}
	within(ctx, &l.fault, err)
	if timedOut {
		l.timedOut(err)
	}
	if met {
		return
	}
	l.met = l.fault.Kind
	if l.met == fault.Canceled && errors.Is(ended(l.ctx), context.DeadlineExceeded) {
		l.met = fault.Transient
	}
}

// timedOut makes the fault that of an attempt whose own time was up, unless the caller's end
// decides or the attempt was answered all the same.
func (l *Loop) timedOut(err error) {
	f := &l.fault
	if f.Kind == fault.Canceled || answered(f, err) || mark.On(err) {
		return
	}
	f.Kind = fault.Transient
	if !fault.IsTimeout(err) {
		f.Err = &timeoutError{err}
	}
}

// answered reports whether f is a result that the end of a context does not explain: an answer, or
// a permanent failure of a call that was sent.
func answered(f *fault.Fault, err error) bool {
	switch f.Kind {
	case fault.None:
		return true
	case fault.Permanent:
		return f.Sent != fault.NotSent || mark.On(err)
	}
	return false
}

// outcome is how the attempt ended, for its gates. A deadline of the caller that expires during an
// attempt counts against the service; a cancellation does not. An answer that came too late for the
// caller still shows that the service is alive.
func (l *Loop) outcome() gate.Outcome {
	if l.result != gate.Failed {
		return gate.Outcome{Result: l.result}
	}
	o := gate.Outcome{Fault: l.fault}
	o.Fault.Kind = l.met
	return o
}

// Fault returns what err means as the outcome of an attempt made under ctx: what p.Classify makes
// of it, marks, and the end of the caller's own context, which alone makes a failure Canceled. A
// nil error is [fault.None].
func (p *Policy) Fault(ctx context.Context, err error) (f fault.Fault) {
	if err == nil {
		return fault.Fault{Kind: fault.None}
	}
	if p == nil {
		p = &shared
	}
	p.classify(&f, err)
	within(ctx, &f, err)
	return f
}

// classify fills in what an error that is not nil means by itself. A Fault is large: returned by
// value it took longer than computing the delay.
func (p *Policy) classify(f *fault.Fault, err error) {
	if p.Classify == nil {
		*f = fault.Of(err)
	} else {
		*f = mark.Settle(p.Classify(err), err)
		if permanentBelow(err) {
			f.Kind = fault.Permanent
		}
	}
}

// within makes f that of a call under ctx, whose end, and nothing else, is a cancellation.
func within(ctx context.Context, f *fault.Fault, err error) {
	switch {
	case ended(ctx) == nil:
		if f.Kind == fault.Canceled {
			f.Kind = fault.Transient // something else was canceled, not this call
		}
	case f.Kind != fault.None && (f.Kind != fault.Permanent || !mark.On(err)):
		f.Kind = fault.Canceled
	}
}

// ended is ctx.Err, except that it does not wait for the context's timer to notice that its
// deadline has passed: a connection that keeps the deadline by itself may be first.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// cause is what ended the call from outside.
func (l *Loop) cause(r Reason) error {
	switch {
	case r == Canceled:
		return causeOf(l.ctx)
	case r == Invalid:
		return l.invalid
	case r == l.reason:
		return l.refusal
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

// timeoutError is a failure of an attempt whose own time was up, where the error does not say so.
type timeoutError struct{ err error }

func (e *timeoutError) Error() string { return "attempt timed out: " + textOf(e.err) }
func (e *timeoutError) Unwrap() error { return e.err }
func (e *timeoutError) Timeout() bool { return true }
