package reboundotel

import (
	"errors"
	"iter"
	"math"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/internal/distinct"
	"github.com/rebound-go/rebound/limit"
)

// Breaker is what [Telemetry.Watch] must know of a breaker: all of ours are such.
type Breaker interface {
	// Snapshot returns the state of this moment.
	Snapshot() breaker.Snapshot
}

// Limit is what [Telemetry.Watch] must know of a limit: all of package limit are such.
type Limit interface {
	// Snapshot returns the state of this moment.
	Snapshot() limit.Snapshot
}

type watchedBudget struct {
	policy string
	budget *budget.Budget
}

// watched is what Watch was given.
type watched struct {
	mu            sync.Mutex // guards all below
	registered    bool
	seen          distinct.Objects
	budgets       []watchedBudget
	breakers      []Breaker
	breakerGroups []iter.Seq[breaker.Snapshot]
	limits        []Limit
	limitGroups   []iter.Seq[limit.Snapshot]
	rejected      tally[limitKey]
}

// gauges are what is read when metrics are collected. The count of rejections is one of them: the
// limits have counted it already.
type gauges struct {
	level, capacity      metric.Float64ObservableGauge
	state                metric.Int64ObservableGauge
	inFlight, waiting    metric.Int64ObservableGauge
	limitMax, limitLevel metric.Float64ObservableGauge
	rejected             metric.Int64ObservableCounter
}

// make makes them with a meter. What it returns holds every error of the SDK.
func (g *gauges) make(m metric.Meter) error {
	var errs []error
	of := func(name, unit, about string) metric.Float64ObservableGauge {
		i, err := m.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(about))
		errs = append(errs, err)
		return i
	}
	count := func(name, unit, about string) metric.Int64ObservableGauge {
		i, err := m.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(about))
		errs = append(errs, err)
		return i
	}
	g.level = of("rebound.budget.level", "{token}", "Retries that budgets have left.")
	g.capacity = of("rebound.budget.capacity", "{token}", "Retries that full budgets have.")
	g.state = count("rebound.breaker.state", "{breaker}", "Breakers in each state.")
	g.inFlight = count("rebound.limit.in_flight", "{attempt}", "Attempts that limits have admitted.")
	g.waiting = count("rebound.limit.waiting", "{attempt}", "Attempts that wait at limits.")
	g.limitMax = of("rebound.limit.max", "{permit}",
		"Attempts at a time, tokens per second, or the share that may pass, by kind of limit.")
	g.limitLevel = of("rebound.limit.level", "{permit}",
		"Permits or tokens that can be taken at once; below 0 a limit is in debt.")
	var err error
	g.rejected, err = m.Int64ObservableCounter("rebound.limit.rejected",
		metric.WithUnit("{attempt}"), metric.WithDescription("Attempts that limits rejected."))
	return errors.Join(append(errs, err)...)
}

func (g *gauges) all() []metric.Observable {
	return []metric.Observable{g.level, g.capacity, g.state, g.inFlight, g.waiting, g.limitMax,
		g.limitLevel, g.rejected}
}

// observe reports everything. Names are those that k admits.
func (w *watched) observe(o metric.Observer, g *gauges, k *known) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.observeBudgets(o, g, k)
	w.observeBreakers(o, g, k)
	w.observeLimits(o, g, k)
}

// observeBudgets reports, for each name, the lowest level, and the capacity of that budget. The
// caller holds w.mu, as for the methods below.
func (w *watched) observeBudgets(o metric.Observer, g *gauges, k *known) {
	type budgetState struct{ level, capacity float64 }
	lowest := map[attribute.KeyValue]budgetState{}
	for _, b := range w.budgets {
		name := k.policies.of(b.policy, newPolicySets).policy
		// The capacity must be that of the same budget, or the share left would be of neither.
		level := b.budget.Level()
		if least, known := lowest[name]; !known || level < least.level {
			lowest[name] = budgetState{level, b.budget.Size()}
		}
	}
	for name, b := range lowest {
		o.ObserveFloat64(g.level, b.level, metric.WithAttributes(name))
		o.ObserveFloat64(g.capacity, b.capacity, metric.WithAttributes(name))
	}
}

// observeBreakers reports every state, also those that no breaker is in: an alert must see the
// number fall to 0.
func (w *watched) observeBreakers(o metric.Observer, g *gauges, k *known) {
	counts := map[string]*[breaker.HalfOpen + 1]int64{}
	add := func(s breaker.Snapshot) {
		name := k.breakers.admit(s.Name)
		if counts[name] == nil {
			counts[name] = new([breaker.HalfOpen + 1]int64)
		}
		counts[name][s.State]++
	}
	for _, b := range w.breakers {
		add(b.Snapshot())
	}
	for _, group := range w.breakerGroups {
		for s := range group {
			add(s)
		}
	}
	for name, states := range counts {
		for s, n := range states {
			o.ObserveInt64(g.state, n, metric.WithAttributes(
				breakerKey.String(name), stateKey.String(breaker.State(s).String())))
		}
	}
}

// limitKey is what the metrics tell limits apart by.
type limitKey struct{ kind, name string }

// observeLimits reports the sum of the limits of each name. Counts of rejections are kept by the
// limits' own names, as all those that are called _OTHER would look like one limit that is reset.
func (w *watched) observeLimits(o metric.Observer, g *gauges, k *known) {
	sums := map[limitKey]limit.Snapshot{}
	refused := map[limitKey]uint64{} // by the limits' own names
	add := func(s limit.Snapshot) {
		refused[limitKey{s.Kind, s.Name}] += s.Refused
		key := limitKey{s.Kind, k.limits.admit(s.Name)}
		sum, known := sums[key]
		if known {
			s = together(sum, s)
		}
		sums[key] = s
	}
	for _, l := range w.limits {
		add(l.Snapshot())
	}
	for _, group := range w.limitGroups {
		for s := range group {
			add(s)
		}
	}
	w.rejected.count(refused, func(l limitKey) limitKey {
		return limitKey{l.kind, k.limits.admit(l.name)}
	})
	for key, s := range sums {
		set := metric.WithAttributes(limitNameKey.String(key.name), limitKindKey.String(key.kind))
		o.ObserveInt64(g.inFlight, int64(s.InFlight), set)
		o.ObserveInt64(g.waiting, int64(s.Waiting), set)
		if s.Limit > 0 || s.Kind != "rate" { // a rate of 0 is unknown, and so is its level
			o.ObserveFloat64(g.limitMax, s.Limit, set)
			o.ObserveFloat64(g.limitLevel, s.Level, set)
		}
	}
	for key, n := range w.rejected.totals {
		o.ObserveInt64(g.rejected, int64(min(n, math.MaxInt64)), metric.WithAttributes(
			limitNameKey.String(key.name), limitKindKey.String(key.kind)))
	}
}

// together is two limits of one name as one: what they admit adds up, and the lower level counts.
// Shares do not add up: of two throttles, the one that lets less pass counts.
func together(a, b limit.Snapshot) limit.Snapshot {
	b.InFlight += a.InFlight
	b.Waiting += a.Waiting
	b.Level = min(a.Level, b.Level)
	if b.Kind == "throttle" {
		b.Limit = min(a.Limit, b.Limit)
	} else {
		b.Limit += a.Limit
	}
	return b
}

// tally makes counters that only rise of counts whose objects may be forgotten, and made anew, by
// a group.
type tally[K comparable] struct {
	last   map[K]uint64
	totals map[K]uint64
}

// count adds what now has more than the time before. It keeps the totals by the names that
// metrics use.
func (t *tally[K]) count(now map[K]uint64, named func(K) K) {
	if t.totals == nil {
		t.totals = make(map[K]uint64)
	}
	for k, n := range now {
		gain := n
		if last := t.last[k]; n >= last {
			gain = n - last
		}
		t.totals[named(k)] += gain
	}
	// What a group has forgotten is not in now: made anew, it begins at 0.
	t.last = now
}
