package reboundotel

import (
	"context"
	"iter"
	"math"
	"reflect"
	"slices"

	"go.opentelemetry.io/otel/metric"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
)

// Objects are what [Telemetry.Watch] reads. Every field may be empty.
type Objects struct {
	// Policies have budgets, breakers and limits, those among their gates included. A policy whose
	// retries are unlimited has no budget.
	Policies []*rebound.Policy

	// Breakers and Limits are reported beside those of the policies.
	Breakers []Breaker
	Limits   []Limit

	// BreakerGroups and LimitGroups are read anew each time: see [Values].
	BreakerGroups []iter.Seq[breaker.Snapshot]
	LimitGroups   []iter.Seq[limit.Snapshot]

	// Hedges are in no policy, so each has to be given.
	Hedges []*hedge.Hedge
}

// Values drops the keys of a group's All, for [Objects]:
//
//	BreakerGroups: []iter.Seq[breaker.Snapshot]{reboundotel.Values(group.All())},
func Values[K, V any](all iter.Seq2[K, V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		all(func(_ K, v V) bool { return yield(v) })
	}
}

// Watch reports budgets, breakers, limits and hedges from now on. They are read whenever metrics
// are collected. Watch may be called again, for further objects.
//
// Objects of one name, or of names that are called _OTHER, are reported together: their states,
// attempts and capacities add up, and of their levels the lowest counts. An object that is given
// twice is reported once.
func (t *Telemetry) Watch(o Objects) error {
	t.watched.mu.Lock()
	defer t.watched.mu.Unlock()
	for _, p := range o.Policies {
		t.watched.addPolicy(p)
	}
	for _, b := range o.Breakers {
		t.watched.addBreaker(b)
	}
	for _, l := range o.Limits {
		t.watched.addLimit(l)
	}
	for _, h := range o.Hedges {
		if t.watched.isNew(h) {
			t.watched.hedges = append(t.watched.hedges, h)
		}
	}
	t.watched.breakerGroups = slices.Concat(t.watched.breakerGroups, o.BreakerGroups)
	t.watched.limitGroups = slices.Concat(t.watched.limitGroups, o.LimitGroups)
	// One callback for all: of two that report one name the SDK would keep the second.
	if t.watched.registered {
		return nil
	}
	var g gauges
	if err := g.make(t.meter); err != nil {
		return err
	}
	_, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		t.watched.observe(o, &g, &t.known)
		return nil
	}, g.all()...)
	t.watched.registered = err == nil
	return err
}

// addPolicy adds the budget, the breaker and the gates of p. The caller holds w.mu, as for the
// methods below.
func (w *watched) addPolicy(p *rebound.Policy) {
	if p == nil {
		return // the zero policy, which the program shares with packages it does not know
	}
	if b := p.RetryBudget(); b != nil && !math.IsInf(b.Capacity, 1) {
		found := watchedBudget{p.Name, b}
		if !slices.Contains(w.budgets, found) {
			w.budgets = append(w.budgets, found)
		}
	}
	if p.Breaker != nil {
		w.addBreaker(p.Breaker)
	}
	for _, g := range p.Gates {
		switch g := g.(type) {
		case Breaker:
			w.addBreaker(g)
		case Limit:
			w.addLimit(g)
		}
	}
}

// addBreaker adds b unless it is watched: a policy's breaker may be given by itself as well.
func (w *watched) addBreaker(b Breaker) {
	if w.isNew(b) {
		w.breakers = append(w.breakers, b)
	}
}

// addLimit adds l unless it is watched.
func (w *watched) addLimit(l Limit) {
	if w.isNew(l) {
		w.limits = append(w.limits, l)
	}
}

// isNew reports whether an object is neither nil nor watched already. One of a type that cannot be
// a map's key is always new: using it as one would panic.
func (w *watched) isNew(object any) bool {
	v := reflect.ValueOf(object)
	switch {
	case !v.IsValid(), v.Kind() == reflect.Pointer && v.IsNil():
		return false
	case !v.Comparable():
		return true
	case w.seen == nil:
		w.seen = make(map[any]bool)
	}
	met := w.seen[object]
	w.seen[object] = true
	return !met
}
