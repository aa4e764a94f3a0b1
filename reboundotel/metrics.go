package reboundotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/stats"
)

// seconds are the bucket boundaries that the semantic conventions recommend for HTTP, and some
// longer ones, because calls include delays.
var seconds = []float64{
	0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120, 300,
}

// attempts are the bucket boundaries for attempts. The lowest bucket holds calls without an
// attempt.
var attempts = []float64{0, 1, 2, 3, 4, 5, 6, 8, 10, 20}

// instruments are the instruments that record events.
type instruments struct {
	duration, delay                    metric.Float64Histogram
	attempts                           metric.Int64Histogram
	inFlight, waiting                  metric.Int64UpDownCounter
	fallbacks, rejections, transitions metric.Int64Counter
}

func (i *instruments) make(m metric.Meter) error {
	var errs [8]error
	i.duration, errs[0] = m.Float64Histogram("rebound.call.duration",
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(seconds...),
		metric.WithDescription("Time that calls took, delays included."))
	i.attempts, errs[1] = m.Int64Histogram("rebound.call.attempts",
		metric.WithUnit("{attempt}"), metric.WithExplicitBucketBoundaries(attempts...),
		metric.WithDescription("Attempts that calls made; 0 if a gate rejected the first."))
	i.delay, errs[2] = m.Float64Histogram("rebound.retry.delay",
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(seconds...),
		metric.WithDescription("Delay before each retry, as planned."))
	i.inFlight, errs[3] = m.Int64UpDownCounter("rebound.call.in_flight",
		metric.WithUnit("{call}"),
		metric.WithDescription("Calls that have begun and not ended, of those with a span."))
	i.waiting, errs[4] = m.Int64UpDownCounter("rebound.call.waiting",
		metric.WithUnit("{call}"),
		metric.WithDescription("Calls in a delay before a retry, of those with a span."))
	i.fallbacks, errs[5] = m.Int64Counter("rebound.call.fallbacks",
		metric.WithUnit("{call}"),
		metric.WithDescription("Failed calls whose fallback was called, by how the fallback ended."))
	i.rejections, errs[6] = m.Int64Counter("rebound.call.rejections",
		metric.WithUnit("{call}"),
		metric.WithDescription("Calls that failed because a gate rejected an attempt, by gate."))
	i.transitions, errs[7] = m.Int64Counter("rebound.breaker.transitions",
		metric.WithUnit("{change}"), metric.WithDescription("Changes of breakers' states."))
	return errors.Join(errs[:]...)
}

// Observe records an event. Use it as [rebound.Policy.Observe], or call it from there. It also adds
// an event for each retry and fallback to the span in ctx, if that span is recorded.
func (t *Telemetry) Observe(ctx context.Context, e rebound.Event) {
	p := t.known.policies.of(e.Policy, newPolicySets)
	switch e.Kind {
	case rebound.Retrying:
		t.instruments.delay.Record(ctx, e.Delay.Seconds(), p.retrying(e.Fault.Kind)...)
		addEvent(ctx, e)
		// The context may be that of an outer call with another policy. The policy's name distinguishes
		// the two.
		if c, ok := ctx.Value(callKey{}).(*call); ok && c.policy == e.Policy {
			c.wait(ctx, t)
		}
	case rebound.Succeeded:
		t.instruments.duration.Record(ctx, e.Elapsed.Seconds(), p.success...)
		t.instruments.attempts.Record(ctx, int64(e.Attempt), p.successAttempts...)
	case rebound.GaveUp:
		t.instruments.duration.Record(ctx, e.Elapsed.Seconds(), p.failed(e)...)
		t.instruments.attempts.Record(ctx, int64(e.Attempt), p.failureAttempts...)
		// These attributes are made anew each time. Gates may have many names, and rejections are rare.
		if kind, name, ok := stats.RejectedBy(e); ok {
			t.instruments.rejections.Add(ctx, 1, metric.WithAttributes(p.policy,
				gateKindKey.String(kind), gateNameKey.String(t.known.gates.admit(name))))
		}
	case rebound.FellBack:
		t.instruments.fallbacks.Add(ctx, 1, metric.WithAttributes(
			p.policy, outcomeKey.String(outcome(e.Err == nil))))
		addFallback(ctx, e)
	}
}

// addEvent adds a retry to the span of the call, or to the span in which the call is made.
func addEvent(ctx context.Context, e rebound.Event) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.AddEvent("rebound.retry", trace.WithAttributes(
		policyKey.String(valid(e.Policy)),
		attribute.Int("rebound.attempt", e.Attempt),
		attribute.Float64("rebound.retry_delay", e.Delay.Seconds()),
		errorTypeKey.String(e.Fault.Kind.String()),
		attribute.String("rebound.error.message", valid(e.Err.Error())),
	))
}

// addFallback adds the end of the call's fallback to the span that addEvent uses.
func addFallback(ctx context.Context, e rebound.Event) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	attributes := []attribute.KeyValue{
		policyKey.String(valid(e.Policy)), outcomeKey.String(outcome(e.Err == nil)),
	}
	if e.Err != nil {
		attributes = append(attributes, errorTypeKey.String(fault.Of(e.Err).Kind.String()))
	}
	span.AddEvent("rebound.fallback", trace.WithAttributes(attributes...))
}

// OnChange counts a change of a breaker. Use it as [breaker.Breaker.OnChange].
func (t *Telemetry) OnChange(c breaker.Change) {
	b := breakerKind{t.known.breakers.admit(c.Name), c.Shadow}
	t.instruments.transitions.Add(context.Background(), 1,
		b.with(fromKey.String(c.From.String()), toKey.String(c.To.String())))
}
