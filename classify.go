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
// decides or the attempt was answered nevertheless.
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

// answered reports whether f is a result that the end of a context does not cause: an answer, or a
// permanent failure of a call that was sent.
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
// attempt counts against the service; a cancellation does not. An answer after the caller's
// deadline still shows that the service is alive.
func (l *Loop) outcome() gate.Outcome {
	if l.result != gate.Failed {
		return gate.Outcome{Result: l.result}
	}
	o := gate.Outcome{Fault: l.fault}
	o.Fault.Kind = l.met
	return o
}

// Fault classifies err, the outcome of an attempt under ctx. It calls p.Classify, and applies marks
// such as [Permanent]. A failure is Canceled only if ctx, the caller's own context, has ended. A
// nil error has the kind [fault.None].
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

// classify sets f to what an error that is not nil means by itself. It does not return f, because a
// Fault is large: a copy took longer than computing the delay.
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

// within corrects f for a call under ctx. The failure is Canceled if ctx has ended, and only then.
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

// ended is ctx.Err, but it also compares the deadline with the clock. A connection with the same
// deadline may end before the context's timer fires.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// cause returns the error that ended the call from outside.
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

// timeoutError is a failure of an attempt whose own time was up, if the error does not report a
// timeout.
type timeoutError struct{ err error }

func (e *timeoutError) Error() string { return "attempt timed out: " + textOf(e.err) }
func (e *timeoutError) Unwrap() error { return e.err }
func (e *timeoutError) Timeout() bool { return true }
