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

// Do is [rebound.Do] in a span. The context given to fn has the call's span, or, with
// [Options.AttemptSpans], that of the attempt: what fn sends on is traced as its child.
//
// The policy's Observe should be, or have among its [rebound.Observers], t.Observe: the events of
// retries on the span, and the metrics, come from there.
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

// nameOf is what the span of a policy's calls is called.
func nameOf(p *rebound.Policy) string {
	if p == nil {
		return "rebound"
	}
	return cmp.Or(valid(p.Name), "rebound")
}

// callKey is the key of a call in its context.
type callKey struct{}

// call is what is known of a call under way.
type call struct {
	policy   string
	calls    []metric.AddOption
	attempts atomic.Int64
	waiting  atomic.Bool // in a delay
}

// wait and resume count the call as waiting, and as waiting no more. No event has the end of a
// delay: it is the next attempt, or the end of the call.
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

// Start begins the span of a call that is not made by [Do]: one by [rebound.DoElse], say, or a
// loop. The call is made with the context returned, and when it is over, end is called with its
// error, once.
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

// finish says on a call's span how the call ended.
func finish(span trace.Span, err error) {
	if err == nil || !span.IsRecording() {
		return
	}
	span.SetStatus(codes.Error, valid(err.Error()))
	var e *rebound.Error
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

// Attempt returns fn, so wrapped that the end of a call's delay is counted and, with
// [Options.AttemptSpans], each attempt has a span of its own within the call that its context
// belongs to. Attempts are numbered within a call that [Telemetry.Start] has begun. It is part of
// [Do].
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
		// What stays if fn panics or ends its goroutine: the span must not look like a success.
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

func (t *Telemetry) startAttempt(ctx context.Context, c *call) (context.Context, trace.Span) {
	var attributes []attribute.KeyValue
	name := "attempt"
	if c != nil {
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
