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
// [Options.AttemptSpans], the attempt's span. So requests that fn makes with that context are
// traced as its children.
//
// The policy's Observe should be t.Observe, or have it among its [rebound.Observers]: the metrics,
// and the retry events on the span, come from there.
func Do[T any](
	ctx context.Context, t *Telemetry, p *rebound.Policy, fn func(context.Context) (T, error),
) (T, error) {
	ctx, end := t.Start(ctx, p)
	err := errUnfinished // what a panic leaves behind
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

// nameOf is the name of the spans of a policy's calls.
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

// wait counts the call as waiting, and resume ends that. No event marks the end of a delay, which
// is the start of the next attempt or the end of the call.
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

// Start begins the span of a call that is not made with [Do], such as one of [rebound.DoElse] or a
// loop. Make the call with the context that is returned. When the call is over, call end once with
// its error.
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

// finish records on a call's span how the call ended.
func finish(span trace.Span, err error) {
	// A span without a status counts as a success.
	if err == nil || !span.IsRecording() {
		return
	}
	span.SetStatus(codes.Error, valid(err.Error()))
	var e *rebound.Error
	// The error of a loop of the caller's own, which has no reason.
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

// Attempt wraps fn, so that the end of a delay is counted and, with [Options.AttemptSpans], each
// attempt has a span of its own within the call's. Attempts are numbered if the call was begun with
// [Telemetry.Start]. [Do] uses Attempt.
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
		// This stays if fn panics or ends its goroutine, so that the span does not look like a success.
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
	// Span names must have few values, so the number of the attempt is an attribute.
	name := "attempt"
	if c != nil {
		// Hedges are attempts at the same time, hence the atomic.
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
