package sim

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/hedge"
)

// TestHedgesOfLostAttempts: if an attempt is lost with probability p, a hedged call fails with p².
func TestHedgesOfLostAttempts(t *testing.T) {
	for _, c := range []struct {
		p      float64
		budget *budget.Budget
	}{{0.03, nil}, {0.05, budget.Unlimited}} {
		t.Run(fmt.Sprint(c.p), func(t *testing.T) {
			s := Scenario{
				Duration: 1000 * time.Second / slow,
				Clients:  Clients{Rate: 1000, Timeout: time.Second},
				Server:   Server{Service: constant(10 * ms), Windows: []Window{{BlackHole: c.p}}},
				Hedge:    &hedge.Hedge{After: 100 * ms, Budget: c.budget},
			}
			r := play(t, s, &rebound.Policy{Attempts: 1})
			calls := float64(r.Calls)
			lost := 6 / math.Sqrt(calls*c.p*c.p) // six standard errors
			near(t, "failed", float64(r.Failed)/calls, c.p*c.p, lost)
			near(t, "hedges", float64(r.Hedges)/calls, c.p, 0.03*loose)
			near(t, "hedges that won", float64(r.HedgesWon)/float64(r.Hedges), 1-c.p, 0.01)
			near(t, "load", r.Amplification, 1+c.p, 0.002*loose)
			if r.Retries != 0 {
				t.Errorf("%d hedges count as retries", r.Retries)
			}
			if got := r.Latency.Quantile(1); got < 110*ms || got > 115*ms {
				t.Errorf("the slowest success took %v, want 110ms", got)
			}
		})
	}
}

// TestHedgesOfSlowAnswers: of two independent exponential times, of which the second begins d
// later, the first that ends lasts longer than d + t with probability e^−(d + 2t)/mean.
func TestHedgesOfSlowAnswers(t *testing.T) {
	const mean, delay = 10 * ms, 40 * ms
	s := Scenario{
		Duration: 1000 * time.Second / slow,
		Clients:  Clients{Rate: 1000},
		Server:   Server{Service: Dist{Mean: mean}},
		Hedge:    &hedge.Hedge{After: delay},
	}
	r := play(t, s, &rebound.Policy{})
	share := math.Exp(-float64(delay) / float64(mean))
	near(t, "hedges", float64(r.Hedges)/float64(r.Calls), share, 0.03*loose)
	near(t, "hedges that won", float64(r.HedgesWon)/float64(r.Hedges), 0.5, 0.03*loose)
	for _, q := range []float64{0.99, 0.999, 0.9999} {
		longer := (math.Log(1/(1-q)) - math.Log(1/share)) / 2 * float64(mean)
		near(t, fmt.Sprint("quantile ", q), float64(r.Latency.Quantile(q)), float64(delay)+longer,
			0.05*loose)
		if q < 1-share { // no call of this quantile is hedged
			t.Fatal("want a longer delay")
		}
	}
	// A measured delay is that of its percentile, or up to an eighth longer.
	s.Hedge = &hedge.Hedge{Percentile: 0.97}
	r = play(t, s, &rebound.Policy{})
	got := float64(r.Hedges) / float64(r.Calls)
	if least := math.Pow(0.03, 1.125); got < 0.9*least/loose || got > 0.03*1.05*loose {
		t.Errorf("%v of the calls were hedged, want %v to 0.03", got, least)
	}
}

// hedgeModels are counted by hand. The first request of each call meets a window at 0 s, its hedge
// at 50 ms may meet another.
var hedgeModels = []struct {
	name   string
	server Server
	hedge  *hedge.Hedge
	policy *rebound.Policy
	want   Counts
	end    time.Duration
}{{
	"a hedge wins", Server{Windows: []Window{{To: 10 * ms, BlackHole: 1}}, Service: constant(30 * ms)},
	&hedge.Hedge{}, &rebound.Policy{},
	Counts{Calls: 1, OK: 1, Attempts: 2, Hedges: 1, HedgesWon: 1}, 80 * ms,
}, {
	"the first request wins", Server{Service: constant(60 * ms)},
	&hedge.Hedge{}, &rebound.Policy{},
	Counts{Calls: 1, OK: 1, Attempts: 2, Hedges: 1}, 60 * ms,
}, {
	"an answer in time", Server{Service: constant(50 * ms)},
	&hedge.Hedge{}, &rebound.Policy{},
	Counts{Calls: 1, OK: 1, Attempts: 1}, 50 * ms,
}, {
	"a failure before the delay goes to the policy",
	Server{Windows: []Window{{To: 10 * ms, Fail: 1}}, Service: constant(30 * ms)},
	&hedge.Hedge{}, &rebound.Policy{Backoff: backoff.Constant(ms)},
	Counts{Calls: 1, OK: 1, Attempts: 2, Retries: 1, Errors: 1}, 61 * ms,
}, {
	"a hedge goes on when the first request has failed",
	Server{Windows: []Window{{To: 10 * ms, Fail: 1}}, Service: constant(60 * ms)},
	&hedge.Hedge{}, &rebound.Policy{},
	Counts{Calls: 1, OK: 1, Attempts: 2, Hedges: 1, HedgesWon: 1, Errors: 1}, 110 * ms,
}, {
	// The outcome is the status 429 at 60 ms, not the status 500 at 110 ms.
	"all fail: the outcome is that of the first", Server{
		Windows:   []Window{{To: 10 * ms, Throttle: 1}, {From: 20 * ms, To: 55 * ms, Fail: 1}},
		RoundTrip: 60 * ms,
	},
	&hedge.Hedge{}, &rebound.Policy{
		Backoff: backoff.Constant(time.Hour), Throttled: backoff.Constant(ms),
	},
	Counts{Calls: 1, OK: 1, Attempts: 3, Hedges: 1, Retries: 1, Errors: 1, Throttled: 1}, 171 * ms,
}, {
	"both are given up", Server{Windows: []Window{{BlackHole: 1}}},
	&hedge.Hedge{}, &rebound.Policy{Attempts: 1, AttemptTimeout: 200 * ms},
	Counts{Calls: 1, Failed: 1, Attempts: 2, Hedges: 1, TimedOut: 2}, 200 * ms,
}, {
	"up to three hedges", Server{Windows: []Window{{BlackHole: 1}}},
	&hedge.Hedge{Max: 3}, &rebound.Policy{Attempts: 1, AttemptTimeout: 500 * ms},
	Counts{Calls: 1, Failed: 1, Attempts: 4, Hedges: 3, TimedOut: 4}, 500 * ms,
}, {
	// A 503 for the first hedge ends hedging for the attempt, and for the next one.
	"an overloaded server gets no more hedges", Server{
		Windows: []Window{
			{To: 10 * ms, BlackHole: 1}, {From: 20 * ms, To: 60 * ms, Unavailable: 1},
			{From: 60 * ms, BlackHole: 1},
		},
	},
	&hedge.Hedge{Max: 3}, &rebound.Policy{
		Attempts: 2, AttemptTimeout: 200 * ms, Backoff: backoff.Constant(ms),
	},
	Counts{Calls: 1, Failed: 1, Attempts: 3, Hedges: 1, Retries: 1, TimedOut: 2, Refused: 1},
	401 * ms,
}, {
	"a budget of its own", Server{Windows: []Window{{BlackHole: 1}}},
	&hedge.Hedge{Max: 3, Budget: &budget.Budget{Capacity: 2}},
	&rebound.Policy{Attempts: 1, AttemptTimeout: 500 * ms},
	Counts{Calls: 1, Failed: 1, Attempts: 3, Hedges: 2, TimedOut: 3}, 500 * ms,
}}

func TestHedgeModels(t *testing.T) {
	for _, m := range hedgeModels {
		t.Run(m.name, func(t *testing.T) {
			m.hedge.After = 50 * ms
			r := play(t, Scenario{
				Duration: time.Second, Clients: together(1), Server: m.server, Hedge: m.hedge,
			}, m.policy)
			if r.Counts != m.want || r.End != m.end {
				t.Errorf("got  %+v at %v\nwant %+v at %v", r.Counts, r.End, m.want, m.end)
			}
			check(t, r)
		})
	}
}

// Retries and hedges that share a budget take from one bucket, which is empty in the end.
func TestHedgesShareTheBudget(t *testing.T) {
	b := &budget.Budget{Capacity: 5, Refill: budget.None}
	s := Scenario{
		Clients: Clients{Count: 20, Processes: 1, Calls: 10, Timeout: 100 * ms},
		Server:  Server{Windows: []Window{{BlackHole: 1}}},
		Hedge:   &hedge.Hedge{After: 50 * ms, Budget: b},
	}
	r := play(t, s, &rebound.Policy{Budget: b})
	if r.Hedges == 0 || r.Retries == 0 || r.Hedges+r.Retries != 5 {
		t.Errorf("%d hedges and %d retries, want 5 together", r.Hedges, r.Retries)
	}
}

// TestHedgesOfABrownout: a server that becomes slow as a whole gets at most a tenth more requests,
// whether its answers are late or its workers are busy.
func TestHedgesOfABrownout(t *testing.T) {
	for _, h := range []*hedge.Hedge{
		{}, {After: 20 * ms}, {After: 20 * ms, Max: 5, Budget: budget.Unlimited},
	} {
		for _, server := range []Server{
			{Service: Dist{Mean: 10 * ms}},
			{Service: Dist{Mean: 10 * ms}, Workers: 20, Queue: 200},
		} {
			server.Windows = []Window{{From: 10 * time.Second, To: 40 * time.Second, Slow: 20}}
			s := Scenario{
				Clients: Clients{Rate: 500, Timeout: time.Second, Processes: 2},
				Server:  server, Hedge: h,
			}
			r := play(t, s, &rebound.Policy{Attempts: 1})
			var slowHedges, slowCalls float64
			for _, b := range r.Bins[10:40] {
				slowHedges += float64(b.Hedges)
				slowCalls += float64(b.Calls)
			}
			if r.Hedges == 0 || slowHedges > 0.1*slowCalls {
				t.Errorf("%v hedges of %v calls while the server was slow, %d in total",
					slowHedges, slowCalls, r.Hedges)
			}
		}
	}
}

// TestHedgesAgainstGoroutines compares hedges with those of real goroutines that call hedge.Do
// inside of Do, as TestAgainstGoroutines does.
func TestHedgesAgainstGoroutines(t *testing.T) {
	const clients = 1000
	policy := func() *rebound.Policy { return &rebound.Policy{AttemptTimeout: time.Second} }
	for name, h := range map[string]func() *hedge.Hedge{
		"after":      func() *hedge.Hedge { return &hedge.Hedge{After: 150 * ms} },
		"percentile": func() *hedge.Hedge { return &hedge.Hedge{} },
		"unlimited": func() *hedge.Hedge {
			return &hedge.Hedge{After: 60 * ms, Max: 2, Budget: budget.Unlimited}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := scenarioS(clients)
			s.Duration = 30 * time.Second
			s.Clients.Processes = max(clients/500, 1)
			s.Server.Windows = []Window{
				{From: 8 * time.Second, To: 10 * time.Second, Refuse: 1},
				{From: 19 * time.Second, To: 22 * time.Second, Slow: 10},
			}
			var got, want []Counts
			for seed := range uint64(seeds) {
				s.Seed = seed
				s.Hedge = h()
				got = append(got, play(t, s, policy()).Counts)
				want = append(want, hedgedGoroutines(t, s, policy, h))
			}
			compare(t, got, want, 0.01)
		})
	}
}
