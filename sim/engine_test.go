package sim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
)

// busy is a scenario with a bit of everything.
func busy() Scenario {
	return Scenario{
		Seed: 7, Duration: 40 * time.Second,
		Clients: Clients{
			Profile: []Rate{{0, 50}, {10 * time.Second, 50}, {10 * time.Second, 300},
				{20 * time.Second, 100}},
			Processes: 5, Timeout: 500 * ms, Deadline: 5 * time.Second,
		},
		Layers: []Layer{{Processes: 3, Mute: true}},
		Server: Server{
			Workers: 8, Service: Dist{Mean: 40 * ms, Spread: 60 * ms, Shape: LogNormal},
			Crowding: 0.01, Queue: 50, RoundTrip: ms,
			Windows: []Window{
				{Fail: 0.05},
				{From: 5 * time.Second, To: 8 * time.Second, Refuse: 0.5, BlackHole: 0.2},
				{From: 15 * time.Second, To: 18 * time.Second, Throttle: 0.3, RetryAfter: 2 * time.Second},
				{From: 17 * time.Second, To: 25 * time.Second, Slow: 3},
			},
		},
		Policies: []*rebound.Policy{
			{Name: "plain", Attempts: 4},
			{
				Name:    "guarded",
				Backoff: backoff.Decorrelated{Base: 50 * ms, Max: 2 * time.Second},
				Budget:  &budget.Budget{Capacity: 20},
				Breaker: &breaker.Breaker{
					Rate: 0.5, Cooldown: 2 * time.Second, CooldownJitter: 0.2, Probes: 3,
				},
			},
		},
	}
}

func run(t testing.TB, s Scenario) Result {
	t.Helper()
	r, err := Run(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fresh is r with its policies as they were configured, without budgets yet.
func fresh(r Result) Result {
	r.Scenario.Policies = slices.Clone(r.Scenario.Policies)
	for i, p := range r.Scenario.Policies {
		r.Scenario.Policies[i] = p.Clone()
	}
	return r
}

func scenarios(t *testing.T) []Scenario {
	all := []Scenario{busy()}
	for _, name := range Builtins() {
		s, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// TestDeterministic: the same scenario gives the same result, whatever else runs.
func TestDeterministic(t *testing.T) {
	for _, s := range scenarios(t) {
		want := run(t, s)
		var all sync.WaitGroup
		for _, procs := range []int{1, 2, 8} {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			for range 2 {
				all.Go(func() {
					if got := run(t, s); !reflect.DeepEqual(fresh(got), fresh(want)) {
						t.Errorf("%s: two runs of one scenario differ", s.Name)
					}
				})
			}
			all.Wait()
		}
	}
	other := busy()
	other.Seed++
	if reflect.DeepEqual(run(t, other).Policies, run(t, busy()).Policies) {
		t.Error("another seed gives the same result")
	}
}

// TestPinned pins the result of a scenario, which is the same on every platform. A change of a
// policy's behavior, or of the order of random numbers, changes it.
func TestPinned(t *testing.T) {
	s := busy()
	s.Policies = s.Policies[:1]
	text, err := json.Marshal(run(t, s).Policies)
	if err != nil {
		t.Fatal(err)
	}
	h := fnv.New64a()
	h.Write(text)
	if got, want := h.Sum64(), uint64(0xa798218290dc4b69); got != want {
		t.Errorf("fingerprint: got %#x, want %#x; counts %+v", got, want, run(t, s).Policies[0].Counts)
	}
}

// TestEager: handling an answer as soon as it is known, which saves every second event, changes
// nothing.
func TestEager(t *testing.T) {
	s := scenarioS(500)
	s.Clients.Deadline = 20 * time.Second
	open := scenarioS(500)
	open.Clients = Clients{Rate: 60, Timeout: time.Second}
	open.Server.Windows = append(open.Server.Windows, Window{Fail: 0.1})
	for _, s := range []Scenario{s, open} {
		s, err := s.complete()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*rebound.Policy{policyS(), {Budget: budget.Unlimited}, {}} {
			quick, full := newEngine(&s, p), newEngine(&s, p)
			if s.Clients.Count > 0 && !quick.eager {
				t.Error("clients of their own processes are not recognised as independent")
			}
			full.eager = false
			for _, x := range []*engine{quick, full} {
				if err := x.run(); err != nil {
					t.Fatal(err)
				}
			}
			got, want := quick.tally.result(s.trouble()), full.tally.result(s.trouble())
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got.Counts, want.Counts)
			}
		}
	}
}

// check reports numbers that do not add up.
func check(t *testing.T, r PolicyResult) {
	t.Helper()
	var sum Counts
	var servedCalls int64
	for i := range r.Bins {
		sum.add(&r.Bins[i].Counts)
		servedCalls += r.Bins[i].Served
		if b := r.Bins[i]; b.Open < 0 || b.Open > 1 || min(b.Queue, b.Waiting) < 0 {
			t.Errorf("bin %d: open %v, queue %d, waiting %d", i, b.Open, b.Queue, b.Waiting)
		}
	}
	if sum != r.Counts {
		t.Errorf("bins have %+v, the run has %+v", sum, r.Counts)
	}
	var latencies int64
	for _, n := range r.Latency.Counts {
		latencies += n
	}
	switch {
	case r.Calls != r.OK+r.Failed+r.Unfinished || r.Unfinished < 0:
		t.Errorf("calls: %+v, unfinished %d", r.Counts, r.Unfinished)
	case servedCalls != r.OK || latencies != r.OK:
		t.Errorf("%d ok, %d served, %d latencies: want the same", r.OK, servedCalls, latencies)
	case r.Attempts < r.OK || r.Retries+r.Hedges > r.Attempts || r.HedgesWon > r.Hedges:
		t.Errorf("attempts: %+v", r.Counts)
	}
}

func TestNumbersAddUp(t *testing.T) {
	for _, s := range scenarios(t) {
		for _, r := range run(t, s).Policies {
			t.Run(s.Name+" "+r.Policy, func(t *testing.T) {
				check(t, r)
				if r.Attempts < 1000 {
					t.Errorf("hardly anything happens: %+v", r.Counts)
				}
			})
		}
	}
}

// TestJSON: a scenario without its policies survives JSON, and so does a result.
func TestJSON(t *testing.T) {
	want := run(t, busy())
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Result
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want.Scenario.Policies = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got.Scenario.Policies = busy().Policies
	if again := run(t, got.Scenario); !reflect.DeepEqual(again.Policies, want.Policies) {
		t.Error("the scenario read from JSON gives another result")
	}
}

// TestPoliciesAreOnlyRead: a run neither spends a policy's budget nor opens its breaker.
func TestPoliciesAreOnlyRead(t *testing.T) {
	b := &budget.Budget{}
	p := &rebound.Policy{Budget: b, Breaker: &breaker.Breaker{}}
	s, _ := Builtin("outage")
	if r := play(t, s, p); r.Rejected == 0 {
		t.Errorf("nothing rejected: %+v", r.Counts)
	}
	if b.Level() != 10 || p.Breaker.State() != breaker.Closed {
		t.Errorf("after the run: level %v, breaker %v; want 10, closed", b.Level(), p.Breaker.State())
	}
}

// TestMemory: a client takes at most 256 bytes, including everything that a run allocates.
func TestMemory(t *testing.T) {
	const clients = 200_000 / slow
	s := scenarioS(clients)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	play(t, s, policyS())
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / clients; got > 256 {
		t.Errorf("%d bytes per client, want at most 256", got)
	}
}

// TestRunawayScenarios: a run that would never end returns an error that says what to change.
func TestRunawayScenarios(t *testing.T) {
	for _, c := range []struct {
		s    Scenario
		p    *rebound.Policy
		want string
	}{
		{Scenario{Clients: Clients{Count: 1}}, nil, "Clients.Think is 0s: want more, or a longer " +
			"Server.Service or Server.RoundTrip: clients call again as soon as they failed, so the " +
			"clock stands still at 0s"},
		{
			Scenario{
				Clients: Clients{Count: 3, Calls: 1},
				Server:  Server{Windows: []Window{{Refuse: 1}}},
			},
			&rebound.Policy{Attempts: rebound.Unlimited, Backoff: backoff.Constant(0)},
			"Policies[0].Backoff: its delays are too short: want longer ones, or a longer " +
				"Server.Service or Server.RoundTrip: attempts follow each other at once, so the clock " +
				"stands still at 0s",
		},
		{
			Scenario{
				Clients: Clients{Count: 3, Calls: 1}, MaxAttempts: 1e5,
				Server: Server{Windows: []Window{{Refuse: 1}}},
			},
			&rebound.Policy{Attempts: rebound.Unlimited, Backoff: backoff.Constant(1)},
			"MaxAttempts is 100000: want more, or fewer calls or longer delays: so many attempts " +
				"were made in",
		},
		{
			Scenario{
				Clients: Clients{Count: 3}, Server: Server{Windows: []Window{{Refuse: 1}}},
			},
			&rebound.Policy{Attempts: 1, Breaker: &breaker.Breaker{}},
			"Clients.Think is 0s: want more, or",
		},
	} {
		c.s.Policies = []*rebound.Policy{c.p}
		_, err := Run(c.s)
		if want := "sim: Scenario." + c.want; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got error %v, want one that begins %q", err, want)
		}
		namesFields(t, err)
	}
}

// A server that holds too many attempts ends the run.
func TestFullServer(t *testing.T) {
	for _, c := range []struct {
		s    Server
		want string
	}{
		{Server{Workers: 1}, "Server.Queue is 0: want a limit, or fewer calls: at "},
		{Server{Crowding: 0.1}, "Server.Crowding is 0.1: want less, or fewer calls: at "},
	} {
		s := Scenario{Clients: Clients{Rate: 1000}, Server: c.s}
		s.Server.Service = Dist{Mean: time.Hour}
		s, err := s.complete()
		if err != nil {
			t.Fatal(err)
		}
		x := newEngine(&s, s.Policies[0])
		x.server.most = 10
		err = x.run()
		if want := "sim: Scenario." + c.want; err == nil || !strings.HasPrefix(err.Error(), want) ||
			!strings.HasSuffix(err.Error(), ", more than 10 attempts are in the server") {
			t.Errorf("got error %v, want one that begins %q", err, want)
		}
		namesFields(t, err)
	}
}

func TestPolicyNames(t *testing.T) {
	s, _ := Builtin("blip")
	s.Policies = []*rebound.Policy{nil, {}, {Name: "mine"}}
	var got []string
	for _, r := range run(t, s).Policies {
		got = append(got, r.Policy)
	}
	if want := "[zero policy policy 2 mine]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
