package reboundotel

import (
	"context"
	"errors"
	"math"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
)

// Breaker is what [Telemetry.Watch] must know of a breaker: all of ours are such.
type Breaker interface {
	// Snapshot says how it is.
	Snapshot() breaker.Snapshot
}

// Watch has the levels of the policies' budgets and the states of their breakers, and of further
// ones, looked at whenever metrics are collected. A policy whose retries are unlimited has no
// level. Of a [breaker.Group], give those whose keys matter: group.For(key). An error is the SDK's.
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

// one is 1 for yes. OpenTelemetry has no gauge of booleans.
func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// watched is what Watch looks at.
type watched struct {
	budgets  []watchedBudget
	breakers []watchedBreaker
}

type watchedBudget struct {
	budget     *budget.Budget
	capacity   float64
	attributes metric.MeasurementOption
}

type watchedBreaker struct {
	breaker    Breaker
	attributes [breaker.HalfOpen + 1]metric.MeasurementOption // by state
}

func (t *Telemetry) watched(policies []*rebound.Policy, breakers []Breaker) (w watched) {
	breakers = slices.Clone(breakers)
	for _, p := range policies {
		if p == nil {
			continue
		}
		if p.Breaker != nil {
			breakers = append(breakers, p.Breaker)
		}
		if b := p.RetryBudget(); b != nil && !math.IsInf(b.Capacity, 1) {
			name := t.policies.of(p.Name, newPolicySets).policy
			w.budgets = append(w.budgets, watchedBudget{
				b, b.Size(),
				metric.WithAttributeSet(attribute.NewSet(name)),
			})
		}
	}
	for _, b := range breakers {
		found := watchedBreaker{breaker: b}
		name := t.breakers.admit(b.Snapshot().Name)
		for s := range found.attributes {
			found.attributes[s] = metric.WithAttributeSet(attribute.NewSet(
				breakerKey.String(name), stateKey.String(breaker.State(s).String())))
		}
		w.breakers = append(w.breakers, found)
	}
	return w
}
