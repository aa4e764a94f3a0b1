package reboundotel_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundotel"
)

// only returns the lines that begin with one of the names.
func only(lines []string, names ...string) []string {
	return slices.DeleteFunc(lines, func(line string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(line, n) })
	})
}

// breakers returns two with one name.
func breakers(name string) (open, closed *breaker.Breaker) {
	open, closed = &breaker.Breaker{Name: name}, &breaker.Breaker{Name: name}
	open.ForceOpen()
	return open, closed
}

func watch(t *testing.T, s *sdk, o reboundotel.Objects) {
	t.Helper()
	if err := s.Watch(o); err != nil {
		t.Fatal(err)
	}
}

// Breakers with one name are added up, in any order and over any number of calls of Watch. One that
// is given twice counts once.
func TestBreakersOfOneNameAddUp(t *testing.T) {
	for name, order := range map[string]func(open, closed *breaker.Breaker) []reboundotel.Breaker{
		"open first": func(o, c *breaker.Breaker) []reboundotel.Breaker {
			return []reboundotel.Breaker{o, c}
		},
		"open last": func(o, c *breaker.Breaker) []reboundotel.Breaker {
			return []reboundotel.Breaker{c, o}
		},
		"open twice": func(o, c *breaker.Breaker) []reboundotel.Breaker {
			return []reboundotel.Breaker{o, c, o, nil}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSDK(t, reboundotel.Options{})
			open, closed := breakers("b")
			watch(t, s, reboundotel.Objects{Breakers: order(open, closed)})
			open, closed = breakers("b")
			_, _ = open.Enter(t.Context())
			p := &rebound.Policy{Breaker: open, Budget: budget.Unlimited, Gates: []gate.Gate{closed}}
			watch(t, s, reboundotel.Objects{Policies: []*rebound.Policy{p, p}})
			want(t, s.metrics(),
				"rebound.breaker.rejected{breaker=b} 1",
				"rebound.breaker.state{breaker=b state=closed} 2",
				"rebound.breaker.state{breaker=b state=half-open} 0",
				"rebound.breaker.state{breaker=b state=open} 2",
			)
		})
	}
}

// The breakers of a group are read again each time. An open one whose name is not reported is
// counted, too.
func TestGroupsAddUp(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	var g breaker.Group[string]
	watch(t, s, reboundotel.Objects{
		BreakerGroups: []iter.Seq[breaker.Snapshot]{reboundotel.Values(g.All())},
	})
	if got := s.metrics(); len(got) != 0 {
		t.Errorf("an empty group has %q", got)
	}
	for i := range 1000 {
		b := g.For(fmt.Sprintf("host %03d", i))
		pass, _ := b.Enter(t.Context())
		b.Leave(pass, gate.Outcome{Result: gate.Failed})
	}
	g.For("host 000").ForceOpen()
	for i := 900; i < 1000; i++ {
		g.For(fmt.Sprintf("host %03d", i)).ForceOpen()
	}
	open := 0
	lines := s.metrics()
	for _, line := range lines {
		var n int
		if _, count, ok := strings.Cut(line, " state=open} "); ok {
			_, _ = fmt.Sscan(count, &n)
			open += n
		}
	}
	if open != 101 || len(lines) > 4*201 {
		t.Errorf("%d open in %d time series, want 101 in 804 at most", open, len(lines))
	}
}

// An open shadow and an open breaker with the same name are separate.
func TestShadows(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	shadow := &breaker.Breaker{Name: "b", Shadow: true, OnChange: s.OnChange}
	watch(t, s, reboundotel.Objects{
		Breakers: []reboundotel.Breaker{shadow, &breaker.Breaker{Name: "b"}},
	})
	shadow.ForceOpen()
	_, _ = shadow.Enter(t.Context())
	lines := slices.DeleteFunc(s.metrics(), func(l string) bool { return strings.HasSuffix(l, " 0") })
	want(t, lines,
		"rebound.breaker.rejected{breaker=b breaker.shadow=true} 1",
		"rebound.breaker.state{breaker=b breaker.shadow=true state=open} 1",
		"rebound.breaker.state{breaker=b state=closed} 1",
		"rebound.breaker.transitions{breaker=b breaker.shadow=true from=closed to=open} 1",
	)
}

// Hedges with one name are added up. One that is given twice counts once.
func TestHedges(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	a := &hedge.Hedge{Name: "h", After: time.Minute}
	b := &hedge.Hedge{Name: "h", After: time.Hour}
	watch(t, s, reboundotel.Objects{Hedges: []*hedge.Hedge{b, a, b, {Name: "new"}}})
	for _, h := range []*hedge.Hedge{a, a, b} {
		_, _ = hedge.Do(t.Context(), h, failing(0, nil), nil)
	}
	lines := slices.DeleteFunc(s.metrics(), func(l string) bool { return strings.HasSuffix(l, " 0") })
	want(t, lines, "rebound.hedge.calls{hedge=h} 3", "rebound.hedge.delay{hedge=h} 3600")
}

// For budgets with one name the lowest level counts, with the capacity of that budget.
func TestBudgetsOfOneName(t *testing.T) {
	for _, order := range [][2]float64{{20, 5}, {5, 20}} {
		s := newSDK(t, reboundotel.Options{})
		var policies []*rebound.Policy
		for _, capacity := range order {
			policies = append(policies, &rebound.Policy{
				Name: "p", Budget: &budget.Budget{Capacity: capacity},
			})
		}
		watch(t, s, reboundotel.Objects{Policies: policies})
		want(t, s.metrics(),
			"rebound.budget.capacity{policy=p} 5",
			"rebound.budget.level{policy=p} 5",
		)
	}
}

// fixed is a limit that does not change.
type fixed struct {
	gate.Gate
	state limit.Snapshot
}

func (f *fixed) Snapshot() limit.Snapshot { return f.state }

func aLimit(s limit.Snapshot) *fixed { return &fixed{state: s} }

func TestLimits(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	a := aLimit(limit.Snapshot{Name: "db", Kind: "concurrency", Limit: 10, InFlight: 9, Waiting: 3,
		Level: 1, Rejected: 4})
	b := aLimit(limit.Snapshot{Name: "db", Kind: "concurrency", Limit: 5, InFlight: 1, Level: 4,
		Rejected: 1})
	watch(t, s, reboundotel.Objects{
		Policies: []*rebound.Policy{{Budget: budget.Unlimited, Gates: []gate.Gate{a, a}}},
		Limits: []reboundotel.Limit{b, a,
			aLimit(limit.Snapshot{Name: "api", Kind: "rate", Limit: 500, Level: -7}),
			aLimit(limit.Snapshot{Name: "new", Kind: "rate"}),
			aLimit(limit.Snapshot{Name: "t", Kind: "throttle", Limit: 0.9}),
			aLimit(limit.Snapshot{Name: "t", Kind: "throttle", Limit: 0.2}),
		},
	})
	want(t, s.metrics(),
		"rebound.limit.in_flight{limit.kind=concurrency limit.name=db} 10",
		"rebound.limit.in_flight{limit.kind=rate limit.name=api} 0",
		"rebound.limit.in_flight{limit.kind=rate limit.name=new} 0",
		"rebound.limit.in_flight{limit.kind=throttle limit.name=t} 0",
		"rebound.limit.level{limit.kind=concurrency limit.name=db} 1",
		"rebound.limit.level{limit.kind=rate limit.name=api} -7",
		"rebound.limit.level{limit.kind=throttle limit.name=t} 0",
		"rebound.limit.max{limit.kind=concurrency limit.name=db} 15",
		"rebound.limit.max{limit.kind=rate limit.name=api} 500",
		"rebound.limit.max{limit.kind=throttle limit.name=t} 0.2",
		"rebound.limit.rejected{limit.kind=concurrency limit.name=db} 5",
		"rebound.limit.rejected{limit.kind=rate limit.name=api} 0",
		"rebound.limit.rejected{limit.kind=rate limit.name=new} 0",
		"rebound.limit.rejected{limit.kind=throttle limit.name=t} 0",
		"rebound.limit.waiting{limit.kind=concurrency limit.name=db} 3",
		"rebound.limit.waiting{limit.kind=rate limit.name=api} 0",
		"rebound.limit.waiting{limit.kind=rate limit.name=new} 0",
		"rebound.limit.waiting{limit.kind=throttle limit.name=t} 0",
	)
}

// All kinds of package limit are found among the gates, and in groups.
func TestKindsOfLimits(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	var group limit.Group[string, limit.Rate]
	_, _ = group.For("g").Enter(t.Context())
	watch(t, s, reboundotel.Objects{
		Policies: []*rebound.Policy{{Budget: budget.Unlimited, Gates: []gate.Gate{
			&limit.Rate{Name: "r", N: 5}, &limit.Throttle{Name: "t"},
			&limit.Concurrency{Name: "c", Max: 2}, &limit.Adaptive{Name: "a"},
		}}},
		LimitGroups: []iter.Seq[limit.Snapshot]{reboundotel.Values(group.All())},
	})
	lines := only(s.metrics(), "rebound.limit.in_flight")
	if len(lines) < 4 {
		t.Errorf("got\n%s\nwant all kinds", strings.Join(lines, "\n"))
	}
}

// The count of rejections never falls, even if a group drops a limit and makes it again.
func TestRejectionsOnlyRise(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	now := map[string]uint64{}
	group := func(yield func(limit.Snapshot) bool) {
		for name, n := range now {
			if !yield(limit.Snapshot{Name: name, Kind: "rate", Rejected: n}) {
				return
			}
		}
	}
	watch(t, s, reboundotel.Objects{LimitGroups: []iter.Seq[limit.Snapshot]{group}})
	for _, step := range []struct {
		now  map[string]uint64
		want string
	}{
		{map[string]uint64{"a": 3}, "3"},
		{map[string]uint64{"a": 5}, "5"},
		{map[string]uint64{}, "5"},        // forgotten
		{map[string]uint64{"a": 4}, "9"},  // and made anew
		{map[string]uint64{"a": 1}, "10"}, // the same between two looks
		{map[string]uint64{"a": 1}, "10"},
	} {
		now = step.now
		want(t, only(s.metrics(), "rebound.limit.rejected"),
			"rebound.limit.rejected{limit.kind=rate limit.name=a} "+step.want)
	}
}

// A call is in flight until its end, and waits from the event of a retry until the next attempt.
func TestInFlightAndWaiting(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	p := s.policy("ocr")
	var seen []string
	look := func(at string) {
		lines := only(s.metrics(), "rebound.call.in_flight", "rebound.call.waiting")
		for i, line := range lines {
			lines[i] = line[strings.LastIndex(line, " ")+1:]
		}
		seen = append(seen, at+" "+strings.Join(lines, " "))
	}
	observe := p.Observe
	p.Observe = func(ctx context.Context, e rebound.Event) {
		observe(ctx, e)
		look(string(e.Kind))
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	fn := func(context.Context) (int, error) {
		look("attempt")
		if n++; n == 3 {
			cancel()
		}
		return n, rebound.Transient(errDown)
	}
	_, _ = reboundotel.Do(ctx, s.Telemetry, p, fn)
	look("end")
	func() {
		defer func() { _ = recover() }()
		_, _ = reboundotel.Do(t.Context(), s.Telemetry, p, func(context.Context) (int, error) {
			panic("boom")
		})
	}()
	look("after a panic")
	p.Backoff = nil
	ctx, cancel = context.WithCancel(t.Context())
	p.Observe = rebound.Observers(observe, func(context.Context, rebound.Event) { cancel() })
	_, _ = reboundotel.Do(ctx, s.Telemetry, p, failing(9, errDown))
	look("canceled in a delay")
	inner := s.policy("inner")
	_, _ = reboundotel.Do(t.Context(), s.Telemetry, s.policy("ocr"),
		func(ctx context.Context) (int, error) {
			_, _ = rebound.Do(ctx, inner, failing(1, errDown))
			look("after the retry of a call inside")
			return 0, nil
		})
	want(t, seen, "attempt 1", "retrying 1 1", "attempt 1 0", "retrying 1 1", "attempt 1 0",
		"gave_up 1 0", "end 0 0", "after a panic 0 0", "canceled in a delay 0 0",
		"after the retry of a call inside 1 0")
}
