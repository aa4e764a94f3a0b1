package reboundtemporal

import (
	"context"
	"errors"
	"reflect"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// before is where an activity stands before an attempt. Temporal counts the attempts; one that it
// makes beyond the policy's last, after a timeout perhaps, is made all the same.
func before(p *rebound.Policy, info *activity.Info) rebound.State {
	s := rebound.State{Attempt: int(info.Attempt) - 1, Durable: true}
	if limit := p.MaxAttempts(); limit > 0 {
		s.Attempt = min(s.Attempt, limit-1)
	}
	if s.Attempt > 0 {
		s.Elapsed = max(time.Since(info.ScheduledTime), 0)
	}
	return s
}

// marked is err for the policy, with what an ApplicationError in it says about retries.
func marked(err error) error {
	var app *temporal.ApplicationError
	switch {
	case !errors.As(err, &app):
		return err
	case app.NonRetryable():
		return rebound.Permanent(err)
	case app.NextRetryDelay() > 0:
		return rebound.RetryAfter(err, app.NextRetryDelay())
	}
	return err
}

// attempt is one that failed.
type attempt struct {
	ctx    context.Context
	loop   *rebound.Loop
	policy *rebound.Policy
	info   *activity.Info
	own    error // the activity's error; nil if the attempt was rejected
	err    error // the error of Try
}

// outcome returns the error that makes Temporal do what the policy decides.
func (a *attempt) outcome() error {
	d := a.decide()
	if d.Retry {
		a.loop.Announce(d.Delay)
	} else {
		_ = a.loop.Stop(d.Reason, nil)
	}
	switch {
	case a.keep(d.Reason):
		if a.own != nil {
			return a.own
		}
		return a.err
	case d.Retry:
		return a.failure(temporal.ApplicationErrorOptions{
			NextRetryDelay: max(d.Delay, shortest),
		})
	}
	// The server ends an activity without attempts by itself, and records why.
	o := temporal.ApplicationErrorOptions{NonRetryable: d.Reason != rebound.Exhausted || !a.last()}
	if a.ctx.Err() == nil {
		// A worker that stops cannot convert details any more. The SDK would report that failure in
		// place of this one, and the server would retry it.
		o.Details = []any{string(d.Reason)}
	}
	return a.failure(o)
}

// decide is the policy's decision, with what Temporal adds to it.
func (a *attempt) decide() rebound.Decision {
	d := a.loop.Decide(a.err)
	n := int(a.info.Attempt)
	limit := a.policy.MaxAttempts()
	switch {
	case d.Reason == rebound.Rejected && (limit <= 0 || n < limit):
		d = rebound.Decision{Retry: true, Delay: d.Delay}
	case d.Reason == rebound.Rejected:
		d.Reason = rebound.Exhausted
	case d.Reason == rebound.Canceled && a.inDoubt() && !a.ended():
		d.Reason = rebound.NotIdempotent
	}
	if d.Retry && a.last() {
		return rebound.Decision{Reason: rebound.Exhausted}
	}
	return d
}

// keep reports whether Temporal gets the error as it is.
func (a *attempt) keep(why rebound.Reason) bool {
	return a.ended() || why == rebound.Canceled || why == rebound.Invalid || sdkError(a.own)
}

// ended reports whether the server ended the attempt: it was canceled, or its time is up. A worker
// that stops ends an attempt too, and Temporal makes another one.
func (a *attempt) ended() bool {
	return errors.Is(a.ctx.Err(), context.DeadlineExceeded) ||
		a.ctx.Err() != nil && temporal.IsCanceledError(context.Cause(a.ctx))
}

// inDoubt reports whether the activity may have done what must not happen twice.
func (a *attempt) inDoubt() bool {
	return a.policy != nil && a.policy.NonIdempotent && a.own != nil &&
		a.loop.Fault().Sent == fault.MaybeDone
}

// last reports whether this is the server's last attempt.
func (a *attempt) last() bool {
	r := a.info.RetryPolicy
	return r != nil && r.MaximumAttempts > 0 && a.info.Attempt >= r.MaximumAttempts
}

// sdkError reports whether Temporal has a form of its own for err, and reads nothing else of it.
func sdkError(err error) bool {
	switch err.(type) {
	case *temporal.ApplicationError, *temporal.CanceledError, *temporal.TimeoutError,
		*temporal.PanicError, *temporal.TerminatedError, *temporal.ServerError,
		*temporal.ActivityError, *temporal.ChildWorkflowExecutionError,
		*temporal.NexusOperationError, *workflow.ContinueAsNewError:
		return true
	}
	return false
}

// failure is the error of the attempt as Temporal would convert it, with options. Marks have no
// form of their own in it.
func (a *attempt) failure(o temporal.ApplicationErrorOptions) error {
	err := a.err
	for {
		if _, ok := err.(interface{ Marked() }); !ok {
			break
		}
		err = errors.Unwrap(err)
	}
	if app, ok := err.(*temporal.ApplicationError); ok {
		o.Cause = app // it has the details
		return temporal.NewApplicationErrorWithOptions(app.Message(), app.Type(), o)
	}
	o.Cause = errors.Unwrap(err)
	return temporal.NewApplicationErrorWithOptions(a.err.Error(), typeOf(err), o)
}

// typeOf is the type that Temporal gives an error: the name of its Go type, and none for
// errors.New.
func typeOf(err error) string {
	t := reflect.TypeOf(err)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeOf(errors.New("")).Elem() {
		return ""
	}
	return t.Name()
}
