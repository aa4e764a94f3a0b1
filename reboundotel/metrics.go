package reboundotel

import (
	"context"
	"errors"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

const (
	policyKey    = attribute.Key("rebound.policy")
	outcomeKey   = attribute.Key("rebound.outcome")
	reasonKey    = attribute.Key("rebound.reason")
	errorTypeKey = attribute.Key("error.type")
	breakerKey   = attribute.Key("rebound.breaker")
	stateKey     = attribute.Key("rebound.state")
	fromKey      = attribute.Key("rebound.from")
	toKey        = attribute.Key("rebound.to")
)

// The boundaries are those that the semantic conventions advise for HTTP, and further ones for
// calls that wait.
var seconds = []float64{
	0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120, 300,
}

var attempts = []float64{1, 2, 3, 4, 5, 6, 8, 10, 20}

type instruments struct {
	duration, delay metric.Float64Histogram
	attempts        metric.Int64Histogram
	transitions     metric.Int64Counter
}

func (i *instruments) make(m metric.Meter) error {
	var errs [4]error
	i.duration, errs[0] = m.Float64Histogram("rebound.call.duration",
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(seconds...),
		metric.WithDescription("Time that calls took, waits included."))
	i.attempts, errs[1] = m.Int64Histogram("rebound.call.attempts",
		metric.WithUnit("{attempt}"), metric.WithExplicitBucketBoundaries(attempts...),
		metric.WithDescription("Attempts that calls made. Those refused before the first made 0."))
	i.delay, errs[2] = m.Float64Histogram("rebound.call.retry_delay",
		metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(seconds...),
		metric.WithDescription("Waits before retries, as they were planned."))
	i.transitions, errs[3] = m.Int64Counter("rebound.breaker.transitions",
		metric.WithUnit("{change}"), metric.WithDescription("Changes of breakers' states."))
	return errors.Join(errs[:]...)
}

// Observe is made to be, or to be part of, [rebound.Policy.Observe]. Beside the metrics it adds an
// event for each retry to the span in ctx, if that is recorded.
func (t *Telemetry) Observe(ctx context.Context, e rebound.Event) {
	p := t.policies.of(e.Policy, newPolicySets)
	switch e.Kind {
	case rebound.Retrying:
		t.instruments.delay.Record(ctx, e.Delay.Seconds(), p.retrying(e.Fault.Kind)...)
		addEvent(ctx, e)
	case rebound.Succeeded:
		t.instruments.duration.Record(ctx, e.Elapsed.Seconds(), p.success...)
		t.instruments.attempts.Record(ctx, int64(e.Attempt), p.successAttempts...)
	case rebound.GaveUp:
		t.instruments.duration.Record(ctx, e.Elapsed.Seconds(), p.failed(e)...)
		t.instruments.attempts.Record(ctx, int64(e.Attempt), p.failureAttempts...)
	}
}

// addEvent tells the call's span, or whatever span the call is made in, of a retry.
func addEvent(ctx context.Context, e rebound.Event) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.AddEvent("rebound.retry", trace.WithAttributes(
		policyKey.String(e.Policy),
		attribute.Int("rebound.attempt", e.Attempt),
		attribute.Float64("rebound.retry_delay", e.Delay.Seconds()),
		errorTypeKey.String(e.Fault.Kind.String()),
		attribute.String("exception.message", e.Err.Error()),
	))
}

// OnChange is made to be [breaker.Breaker.OnChange].
func (t *Telemetry) OnChange(c breaker.Change) {
	t.instruments.transitions.Add(context.Background(), 1, metric.WithAttributes(
		breakerKey.String(t.breakers.admit(c.Name)),
		fromKey.String(c.From.String()), toKey.String(c.To.String())))
}

// Breaker is what [Telemetry.Watch] must know of a breaker: all of ours are such.
type Breaker interface {
	// Snapshot says how it is.
	Snapshot() breaker.Snapshot
}

// Watch has the levels of the policies' budgets and the states of their breakers, and of further
// ones, looked at whenever metrics are collected. A policy whose retries are unlimited has no
// level. Of a [breaker.Group], give those
// whose keys matter: group.For(key). An error is the SDK's.
func (t *Telemetry) Watch(policies []*rebound.Policy, breakers ...Breaker) error {
	level, err1 := t.meter.Float64ObservableGauge("rebound.budget.level",
		metric.WithUnit("{token}"), metric.WithDescription("Retries that budgets have left."))
	capacity, err2 := t.meter.Float64ObservableGauge("rebound.budget.capacity",
		metric.WithUnit("{token}"), metric.WithDescription("Retries that full budgets have."))
	state, err3 := t.meter.Int64ObservableGauge("rebound.breaker.state",
		metric.WithUnit("{breaker}"), metric.WithDescription("1 for the state that a breaker is in."))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	watched := t.watched(policies, breakers)
	_, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, b := range watched.budgets {
			o.ObserveFloat64(level, b.budget.Level(), b.attributes)
			o.ObserveFloat64(capacity, b.capacity, b.attributes)
		}
		for _, b := range watched.breakers {
			is := b.breaker.Snapshot().State
			for s, attributes := range b.attributes {
				o.ObserveInt64(state, one(breaker.State(s) == is), attributes)
			}
		}
		return nil
	}, level, capacity, state)
	return err
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
