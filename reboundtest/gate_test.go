package reboundtest

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
)

// held are the gates of this module, and the two usual shapes of a bulkhead.
var held = map[string]struct {
	fresh  func() gate.Gate
	traits GateTraits
}{
	"breaker": {
		func() gate.Gate { return &breaker.Breaker{Cooldown: heldCooldown} },
		GateTraits{Failures: 5, Cooldown: heldCooldown, NoAllocs: true},
	},
	"breaker that one failure opens": {
		func() gate.Gate { return &breaker.Breaker{Failures: 1, Cooldown: heldCooldown} },
		GateTraits{Failures: 1, Cooldown: heldCooldown, NoAllocs: true},
	},
	"breaker with probes and a window": {
		func() gate.Gate {
			return &breaker.Breaker{
				Failures: 3, Probes: 3, Cooldown: heldCooldown, SlowAfter: time.Hour, SlowRate: 1,
			}
		},
		GateTraits{Failures: 3, Cooldown: heldCooldown, NoAllocs: true},
	},
	"breaker with a window of calls, judged by rate": {
		func() gate.Gate {
			return &breaker.Breaker{Rate: 1, WindowCalls: 4, Cooldown: heldCooldown}
		},
		GateTraits{Failures: 4, Cooldown: heldCooldown, NoAllocs: true},
	},
	"breaker whose cooldown grows": {
		func() gate.Gate {
			return &breaker.Breaker{Failures: 2, Cooldown: heldCooldown, MaxCooldown: time.Hour}
		},
		GateTraits{Failures: 2, Cooldown: heldCooldown, NoAllocs: true},
	},
	"shadow": {
		func() gate.Gate { return &breaker.Breaker{Failures: 1, Shadow: true} },
		GateTraits{NoAllocs: true},
	},
	"bulkhead": {
		func() gate.Gate { return newModel(2, bugs{}) }, GateTraits{Limit: 2},
	},
	"bulkhead with a queue": {
		func() gate.Gate { return newModel(2, bugs{queue: true}) }, GateTraits{Limit: 2},
	},
	"both": {
		func() gate.Gate { return newModel(9, bugs{breaks: true}) },
		GateTraits{Limit: 9, Failures: 4, Cooldown: modelCooldown},
	},
	"both, for one": {
		func() gate.Gate { return newModel(1, bugs{breaks: true, queue: true}) },
		GateTraits{Limit: 1, Failures: 4, Cooldown: modelCooldown},
	},
}

const heldCooldown = 50 * time.Millisecond

func TestGateHolds(t *testing.T) {
	for name, test := range held {
		t.Run(name, func(t *testing.T) {
			if !test.traits.NoAllocs { // which cannot be counted in parallel
				t.Parallel()
			}
			TestGate(t, test.fresh, test.traits)
		})
	}
}

var (
	limited  = GateTraits{Limit: 2}
	shutting = GateTraits{Failures: modelFailures, Cooldown: modelCooldown}
)

// mistakes are gates that each do one thing wrong, and the checks that must find it.
var mistakes = []struct {
	mistake string
	bugs    bugs
	traits  GateTraits
	want    []string
}{
	{"none", bugs{}, limited, nil},
	{"none, with a queue", bugs{queue: true}, limited, nil},
	{"none, shutting", bugs{breaks: true}, shutting, nil},

	{"success takes a place for good", bugs{leakOn: "with success"}, limited, []string{
		"in a row", "harmless outcomes", "many at once", "limit", "every outcome frees",
		"canceled in the queue", "freed in the queue"}},
	{"a panic takes a place for good", bugs{leakOn: "with a panic"}, limited,
		[]string{"every outcome frees"}},
	{"a skipped attempt takes a place for good", bugs{leakOn: "as skipped"}, limited,
		[]string{"every outcome frees", "harmless outcomes", "many at once"}},
	{"a refusal takes a place for good", bugs{leakOnRefusal: true}, limited,
		[]string{"limit", "every outcome frees", "canceled in the queue", "freed in the queue"}},
	{"a canceled wait takes a place for good", bugs{queue: true, leakOnCancel: true}, limited,
		[]string{"limit", "every outcome frees", "canceled in the queue", "freed in the queue"}},
	{"one more than the limit", bugs{extra: 1}, limited,
		[]string{"limit", "every outcome frees", "canceled in the queue", "freed in the queue"}},
	{"no more than one", bugs{extra: -1}, limited,
		[]string{"limit", "every outcome frees", "canceled in the queue", "freed in the queue",
			"many at once", "ended context"}},
	{"the queue does not look at the context", bugs{queue: true, stubborn: true}, limited,
		[]string{"limit", "every outcome frees", "canceled in the queue", "freed in the queue"}},
	{"the queue hides the context's error", bugs{queue: true, mute: true}, limited,
		[]string{"canceled in the queue"}},
	{"those in the queue are not woken", bugs{queue: true, sleepy: true}, limited,
		[]string{"freed in the queue"}},
	{"the refusal does not match itself", bugs{unmatched: true}, limited,
		[]string{"limit", "every outcome frees", "freed in the queue"}},
	{"Leave blocks", bugs{stuck: true}, limited,
		[]string{"in a row", "harmless outcomes", "one panic", "many at once"}},

	{"it never shuts", bugs{}, shutting, []string{
		"failures shut", "panics shut", "late success", "admits again", "failed probe",
		"panicked probe", "skipped probe", "lost probe", "late success beside a probe",
		"late failures"}},
	{"panics do not count", bugs{breaks: true, ignorePanic: true}, shutting,
		[]string{"panics shut", "panicked probe"}},
	{"a rate limit counts", bugs{breaks: true, countOn: "rate_limited"}, shutting,
		[]string{"harmless outcomes"}},
	{"cancellation counts", bugs{breaks: true, countOn: "canceled"}, shutting,
		[]string{"harmless outcomes"}},
	{"what was skipped counts", bugs{breaks: true, countSkipped: true}, shutting,
		[]string{"harmless outcomes", "skipped probe"}},
	{"late results count", bugs{breaks: true, noGenerations: true}, shutting,
		[]string{"late success", "late success beside a probe", "late failures"}},
	{"it stays shut", bugs{breaks: true, never: true}, shutting, []string{
		"admits again", "failed probe", "panicked probe", "skipped probe", "lost probe",
		"late success beside a probe", "late failures"}},
	{"it has no cooldown", bugs{breaks: true, hasty: true}, shutting,
		[]string{"admits again", "failures shut"}},
	{"a failed probe readmits", bugs{breaks: true, anyProbe: true}, shutting,
		[]string{"failed probe", "panicked probe", "late success beside a probe"}},
	{"a skipped probe is never given back", bugs{breaks: true, leakProbe: true}, shutting,
		[]string{"skipped probe"}},
	{"a lost probe keeps it shut", bugs{breaks: true, noLease: true}, shutting,
		[]string{"lost probe"}},
}

func TestGateFinds(t *testing.T) {
	for _, test := range mistakes {
		t.Run(test.mistake, func(t *testing.T) {
			got := findings(t, test.bugs, test.traits)
			if test.want == nil && len(got) > 0 {
				t.Errorf("checks failed: %q, want none", got)
			}
			if test.want != nil && len(got) == 0 {
				t.Error("no check failed")
			}
			for _, name := range test.want {
				if _, ok := got[name]; !ok {
					t.Errorf("check %q passed; failed are only %q", name, got)
				}
			}
		})
	}
}

func TestGateFindsAllocations(t *testing.T) {
	var f fakeTB
	gate := newModel(2, bugs{alloc: true})
	(&gateTest{reporter: &f, gate: gate}).allocations()
	want := []string{"an attempt that succeeds costs 1 allocations, want 0"}
	if !slices.Equal(f, want) {
		t.Errorf("failures = %q, want %q", f, want)
	}
}

// findings runs all checks that apply, each in a bubble, and returns the failures.
func findings(t *testing.T, b bugs, traits GateTraits) map[string]string {
	found := map[string]string{}
	for _, check := range gateChecks {
		if !check.applies(traits) {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			gate := newModel(traits.Limit, b)
			var f fakeTB
			done := make(chan struct{})
			go func() {
				defer close(done)
				check.run(&gateTest{reporter: &f, gate: gate, traits: traits})
			}()
			<-done
			close(gate.stop)
			if len(f) > 0 {
				found[check.name] = f[0]
			}
		})
	}
	return found
}

// fakeTB collects failures instead of failing.
type fakeTB []string

func (f *fakeTB) Helper() {}

func (f *fakeTB) Errorf(format string, args ...any) {
	*f = append(*f, fmt.Sprintf(format, args...))
}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}
