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
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
)

// Breaker is a breaker that [Telemetry.Watch] can report, such as a [breaker.Breaker].
type Breaker interface {
	// Snapshot returns the state of the breaker.
	Snapshot() breaker.Snapshot
}

// Limit is a limit that [Telemetry.Watch] can report, such as any limit of package limit.
type Limit interface {
	// Snapshot returns the state of the limit.
	Snapshot() limit.Snapshot
}

// watchedBudget is a budget with the name of a policy that draws on it, because budgets have no
// names.
type watchedBudget struct {
	policy string
	budget *budget.Budget
}

// watched is everything that Watch was called with.
type watched struct {
	mu         sync.Mutex // guards all below
	registered bool
	seen       map[any]bool
	budgets    []watchedBudget
	breakers   []Breaker
	// Groups are functions, because their members change.
	breakerGroups []iter.Seq[breaker.Snapshot]
	limits        []Limit
	limitGroups   []iter.Seq[limit.Snapshot]
	hedges        []*hedge.Hedge
	atLimits      tally[limitKey]
	atBreakers    tally[breakerKind]
}

// gauges are the instruments that are read when metrics are collected. Some are counters: the
// objects themselves count.
type gauges struct {
	level, capacity                 metric.Float64ObservableGauge
	state                           metric.Int64ObservableGauge
	atBreakers                      metric.Int64ObservableCounter
	inFlight, waiting               metric.Int64ObservableGauge
	limitMax, limitLevel            metric.Float64ObservableGauge
	atLimits                        metric.Int64ObservableCounter
	hedgeDelay                      metric.Float64ObservableGauge
	hedgeCalls, hedges, won, denied metric.Int64ObservableCounter
}

// make makes the instruments with a meter. The error it returns holds every error of the SDK.
func (g *gauges) make(m metric.Meter) error {
	var errs []error
	number := func(name, unit, about string) metric.Float64ObservableGauge {
		i, err := m.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(about))
		errs = append(errs, err)
		return i
	}
	gauge := func(name, unit, about string) metric.Int64ObservableGauge {
		i, err := m.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(about))
		errs = append(errs, err)
		return i
	}
	counter := func(name, unit, about string) metric.Int64ObservableCounter {
		i, err := m.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(about))
		errs = append(errs, err)
		return i
	}
	g.level = number("rebound.budget.level", "{token}", "Retries that budgets have left.")
	g.capacity = number("rebound.budget.capacity", "{token}", "Retries that full budgets have.")
	g.state = gauge("rebound.breaker.state", "{breaker}", "Breakers in each state.")
	g.atBreakers = counter("rebound.breaker.rejected", "{attempt}",
		"Attempts that breakers rejected, or as shadows would have rejected.")
	g.inFlight = gauge("rebound.limit.in_flight", "{attempt}", "Attempts that limits have admitted.")
	g.waiting = gauge("rebound.limit.waiting", "{attempt}", "Attempts that wait at limits.")
	g.limitMax = number("rebound.limit.max", "{permit}",
		"Attempts at a time, tokens per second, or the share admitted, by kind of limit.")
	g.limitLevel = number("rebound.limit.level", "{permit}",
		"Permits or tokens that can be taken at once; below 0 a limit is in debt.")
	g.atLimits = counter("rebound.limit.rejected", "{attempt}", "Attempts that limits rejected.")
	g.hedgeDelay = number("rebound.hedge.delay", "s", "Delay before a hedge now.")
	g.hedgeCalls = counter("rebound.hedge.calls", "{call}", "Calls that may be hedged.")
	g.hedges = counter("rebound.hedge.started", "{attempt}", "Hedges that began.")
	g.won = counter("rebound.hedge.won", "{attempt}", "Hedges whose answer the call returned.")
	g.denied = counter("rebound.hedge.denied", "{attempt}", "Hedges that were due but not allowed.")
	return errors.Join(errs...)
}

// all lists the instruments for RegisterCallback, which ignores values of any others.
func (g *gauges) all() []metric.Observable {
	return []metric.Observable{g.level, g.capacity, g.state, g.atBreakers, g.inFlight, g.waiting,
		g.limitMax, g.limitLevel, g.atLimits, g.hedgeDelay, g.hedgeCalls, g.hedges, g.won, g.denied}
}

// observe reports everything, under the names that k admits.
func (w *watched) observe(o metric.Observer, g *gauges, k *known) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.observeBudgets(o, g, k)
	w.observeBreakers(o, g, k)
	w.observeLimits(o, g, k)
	w.observeHedges(o, g, k)
}

// observeBudgets reports the lowest level for each name, and the capacity of the same budget. The
// caller holds w.mu. So do the callers of the methods below.
func (w *watched) observeBudgets(o metric.Observer, g *gauges, k *known) {
	type budgetState struct{ level, capacity float64 }
	lowest := map[attribute.KeyValue]budgetState{}
	for _, b := range w.budgets {
		name := k.policies.of(b.policy, newPolicySets).policy
		// Level and capacity must be of the same budget, so that their quotient has a meaning.
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

// breakerKind distinguishes breakers in the metrics. An open shadow does no harm, so alerts must be
// able to exclude shadows.
type breakerKind struct {
	name   string
	shadow bool
}

func (b breakerKind) with(more ...attribute.KeyValue) metric.MeasurementOption {
	more = append(more, breakerKey.String(b.name))
	if b.shadow {
		more = append(more, shadowKey.Bool(true))
	}
	return metric.WithAttributes(more...)
}

// observeBreakers reports every state, even if no breaker is in it, because an alert must see the
// number return to 0.
func (w *watched) observeBreakers(o metric.Observer, g *gauges, k *known) {
	counts := map[breakerKind]*[breaker.HalfOpen + 1]int64{}
	// Rejections are counted by the breakers' own names first: see observeLimits.
	rejected := map[breakerKind]uint64{}
	add := func(s breaker.Snapshot) {
		rejected[breakerKind{s.Name, s.Shadow}] += s.Rejected
		key := breakerKind{k.breakers.admit(s.Name), s.Shadow}
		if counts[key] == nil {
			counts[key] = new([breaker.HalfOpen + 1]int64)
		}
		counts[key][s.State]++
	}
	for _, b := range w.breakers {
		add(b.Snapshot())
	}
	for _, group := range w.breakerGroups {
		for s := range group {
			add(s)
		}
	}
	for b, states := range counts {
		for s, n := range states {
			o.ObserveInt64(g.state, n, b.with(stateKey.String(breaker.State(s).String())))
		}
	}
	w.atBreakers.count(rejected, func(b breakerKind) breakerKind {
		return breakerKind{k.breakers.admit(b.name), b.shadow}
	})
	for b, n := range w.atBreakers.totals {
		o.ObserveInt64(g.atBreakers, signed(n), b.with())
	}
}

// signed converts n to the SDK's type for counts.
func signed(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// limitKey distinguishes limits in the metrics.
type limitKey struct{ kind, name string }

// observeLimits reports the sum of the limits of each name. Rejections are first counted by the
// limits' own names. If those reported as _OTHER were added first, the sum would fall whenever a
// limit starts anew, and the counter would lose counts.
func (w *watched) observeLimits(o metric.Observer, g *gauges, k *known) {
	sums := map[limitKey]limit.Snapshot{}
	rejected := map[limitKey]uint64{} // by the limits' own names
	add := func(s limit.Snapshot) {
		rejected[limitKey{s.Kind, s.Name}] += s.Rejected
		key := limitKey{valid(s.Kind), k.limits.admit(s.Name)}
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
	w.atLimits.count(rejected, func(l limitKey) limitKey {
		return limitKey{valid(l.kind), k.limits.admit(l.name)}
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
	for key, n := range w.atLimits.totals {
		o.ObserveInt64(g.atLimits, signed(n), metric.WithAttributes(
			limitNameKey.String(key.name), limitKindKey.String(key.kind)))
	}
}

// together combines two limits of the same name. It adds their attempts and limits, and takes the
// lower level. Shares do not add up, so for throttles it takes the lower share.
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

// observeHedges adds up the hedges of each name, and takes the longest of their delays.
func (w *watched) observeHedges(o metric.Observer, g *gauges, k *known) {
	sums := map[string]hedge.Snapshot{}
	for _, h := range w.hedges {
		s := h.Snapshot()
		name := k.hedges.admit(s.Name)
		sum := sums[name]
		s.Calls += sum.Calls
		s.Hedges += sum.Hedges
		s.Won += sum.Won
		s.Denied += sum.Denied
		s.Delay = max(s.Delay, sum.Delay)
		sums[name] = s
	}
	for name, s := range sums {
		set := metric.WithAttributes(hedgeKey.String(name))
		o.ObserveInt64(g.hedgeCalls, signed(s.Calls), set)
		o.ObserveInt64(g.hedges, signed(s.Hedges), set)
		o.ObserveInt64(g.won, signed(s.Won), set)
		o.ObserveInt64(g.denied, signed(s.Denied), set)
		if s.Delay > 0 { // 0 = not known yet
			o.ObserveFloat64(g.hedgeDelay, s.Delay.Seconds(), set)
		}
	}
}

// tally makes counters that only rise. The counts that it reads may start anew, because a group may
// forget an object and make it again.
type tally[K comparable] struct {
	last   map[K]uint64
	totals map[K]uint64
}

// count adds the increase since the last call. It keeps the totals under the names that metrics
// use.
func (t *tally[K]) count(now map[K]uint64, named func(K) K) {
	if t.totals == nil {
		t.totals = make(map[K]uint64)
	}
	for k, n := range now {
		// If the count is below the last one, the object was made anew.
		gain := n
		if last := t.last[k]; n >= last {
			gain = n - last
		}
		t.totals[named(k)] += gain
	}
	// An object that a group has forgotten is not in now. If it is made again, its count starts at 0.
	t.last = now
}
