package reboundotel

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// Do is [rebound.Do] in a span. The context given to fn holds the call's span or, with
// [Options.AttemptSpans], the attempt's span. Spans that fn starts under this context are its
// children.
//
// The policy's Observe must call t.Observe, which records the metrics and adds the retry events to
// the span. [rebound.Observers] combines it with other functions.
func Do[T any](
	ctx context.Context, t *Telemetry, p *rebound.Policy, fn func(context.Context) (T, error),
) (T, error) {
	ctx, end := t.Start(ctx, p)
	err := errUnfinished // stays after a panic
	defer func() { end(err) }()
	v, err := rebound.Do(ctx, p, Attempt(t, fn))
	return v, err
}

// Run is [Do] for functions that return no value.
func Run(
	ctx context.Context, t *Telemetry, p *rebound.Policy, fn func(context.Context) error,
) error {
	_, err := Do(ctx, t, p, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, fn(ctx)
	})
	return err
}

var errUnfinished = errors.New("the call did not return: a panic, or runtime.Goexit")

// nameOf returns the name of the spans of a policy's calls.
func nameOf(p *rebound.Policy) string {
	// The zero policy has no name of its own.
	if p == nil {
		return "rebound"
	}
	return cmp.Or(valid(p.Name), "rebound")
}

// callKey is the key under which a context holds its call.
type callKey struct{}

// call is the state of a call under way.
type call struct {
	policy string

	// calls are the attributes of counts of calls of this policy.
	calls []metric.AddOption

	// attempts is the number of attempts so far, for the names of their spans.
	attempts atomic.Int64

	// waiting is true during a delay.
	waiting atomic.Bool
}

// wait counts the call as waiting until resume is called. No event marks the end of a delay, so the
// next attempt or the end of the call does.
func (c *call) wait(ctx context.Context, t *Telemetry) {
	if c.waiting.CompareAndSwap(false, true) {
		t.instruments.waiting.Add(ctx, 1, c.calls...)
	}
}

func (c *call) resume(ctx context.Context, t *Telemetry) {
	if c.waiting.CompareAndSwap(true, false) {
		t.instruments.waiting.Add(ctx, -1, c.calls...)
	}
}

// Start begins the span of a call that is not made with [Do], such as a call of [rebound.DoElse] or
// a loop. Make the call with the context that Start returns. When the call is over, call end once
// with its error.
func (t *Telemetry) Start(
	ctx context.Context, p *rebound.Policy,
) (spanning context.Context, end func(error)) {
	c := &call{}
	if p != nil {
		c.policy = p.Name
	}
	c.calls = t.known.policies.of(c.policy, newPolicySets).calls
	t.instruments.inFlight.Add(ctx, 1, c.calls...)
	ctx, span := t.tracer.Start(ctx, nameOf(p), trace.WithAttributes(
		policyKey.String(valid(c.policy))))
	ctx = context.WithValue(ctx, callKey{}, c)
	return ctx, func(err error) {
		c.resume(ctx, t)
		t.instruments.inFlight.Add(ctx, -1, c.calls...)
		finish(span, err)
		span.End()
	}
}

// finish records the end of a call on its span.
func finish(span trace.Span, err error) {
	// A span without a status counts as a success.
	if err == nil || !span.IsRecording() {
		return
	}
	span.SetStatus(codes.Error, valid(err.Error()))
	var e *rebound.Error
	// An error of the caller's own loop has no reason.
	if !errors.As(err, &e) {
		span.SetAttributes(errorTypeKey.String(fault.Of(err).Kind.String()))
		return
	}
	span.SetAttributes(
		attribute.Int("rebound.attempts", e.Attempts),
		reasonKey.String(string(e.Reason)),
		errorTypeKey.String(errorType(e.Attempts, e.Fault, e.Reason)),
	)
}

// Attempt wraps fn for a call that was begun with [Telemetry.Start]. The wrapper counts the end of
// a delay. With [Options.AttemptSpans], it starts a span for each attempt, inside the call's span,
// with the attempt's number. [Do] uses Attempt.
func Attempt[T any](
	t *Telemetry, fn func(context.Context) (T, error),
) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		c, _ := ctx.Value(callKey{}).(*call)
		if c != nil {
			c.resume(ctx, t)
		}
		if !t.options.AttemptSpans {
			return fn(ctx)
		}
		ctx, span := t.startAttempt(ctx, c)
		// err keeps this value if fn panics or calls runtime.Goexit, so that the span does not look like
		// a success.
		err := errUnfinished
		defer func() {
			if err != nil && span.IsRecording() {
				span.SetStatus(codes.Error, valid(err.Error()))
				span.SetAttributes(errorTypeKey.String(fault.Of(err).Kind.String()))
			}
			span.End()
		}()
		v, err := fn(ctx)
		return v, err
	}
}

// startAttempt starts the span of an attempt, numbered if its call is known.
func (t *Telemetry) startAttempt(ctx context.Context, c *call) (context.Context, trace.Span) {
	var attributes []attribute.KeyValue
	// Span names should have few values, so the number of the attempt is an attribute.
	name := "attempt"
	if c != nil {
		// It is atomic because hedges are concurrent attempts.
		n := int(c.attempts.Add(1))
		attributes = append(attributes, policyKey.String(valid(c.policy)),
			attribute.Int("rebound.attempt", n))
		if t.options.ResendCount && n > 1 {
			attributes = append(attributes, attribute.Int("http.request.resend_count", n-1))
		}
		if c.policy != "" {
			name = valid(c.policy) + " attempt"
		}
	}
	return t.tracer.Start(ctx, name, trace.WithAttributes(attributes...))
}
