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

// Objects lists what [Telemetry.Watch] reports. Every field may be empty.
type Objects struct {
	// Policies are reported with their budgets, breakers and limits, including those among their
	// gates. A policy with unlimited retries has no budget.
	Policies []*rebound.Policy

	// Breakers and Limits are reported in addition to those of the policies.
	Breakers []Breaker
	Limits   []Limit

	// BreakerGroups and LimitGroups are read whenever metrics are collected: see [Values].
	BreakerGroups []iter.Seq[breaker.Snapshot]
	LimitGroups   []iter.Seq[limit.Snapshot]

	// Hedges belong to no policy, so each must be listed.
	Hedges []*hedge.Hedge
}

// Values yields the values of a group's All without their keys, for [Objects]:
//
//	BreakerGroups: []iter.Seq[breaker.Snapshot]{reboundotel.Values(group.All())},
func Values[K, V any](all iter.Seq2[K, V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		all(func(_ K, v V) bool { return yield(v) })
	}
}

// Watch begins to report budgets, breakers, limits and hedges. They are read whenever metrics are
// collected. Watch may be called again with more objects. It returns the errors of the SDK.
//
// Objects with the same name are reported together, and so are those named _OTHER. Their states,
// attempts and limits are added up. Of their levels, the lowest is reported, and for budgets the
// capacity of the same budget. An object that is listed twice is reported once, unless it is in a
// group.
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
	// Groups cannot be compared, so a group that is listed twice is reported twice.
	t.watched.breakerGroups = slices.Concat(t.watched.breakerGroups, o.BreakerGroups)
	t.watched.limitGroups = slices.Concat(t.watched.limitGroups, o.LimitGroups)
	// There is one callback for everything: if two callbacks reported the same name, the SDK would
	// keep only the second value.
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

// addPolicy adds the budget, the breaker and the gates of p. The caller holds w.mu. So do the
// callers of the methods below.
func (w *watched) addPolicy(p *rebound.Policy) {
	// The shared zero policy, which other packages of the program may use as well.
	if p == nil {
		return
	}
	if b := p.RetryBudget(); b != nil && !math.IsInf(b.Capacity, 1) {
		// Policies that share a budget are reported with the same level, each under its own name.
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

// addBreaker adds b unless it is watched already: a policy's breaker may also be listed by itself.
func (w *watched) addBreaker(b Breaker) {
	if w.isNew(b) {
		w.breakers = append(w.breakers, b)
	}
}

// addLimit adds l unless it is watched already.
func (w *watched) addLimit(l Limit) {
	if w.isNew(l) {
		w.limits = append(w.limits, l)
	}
}

// isNew reports whether an object is neither nil nor watched already. An object whose type cannot
// be the key of a map is always new, because using it as a key would panic.
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
