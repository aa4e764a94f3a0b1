package sim

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
)

// play runs a scenario with one policy.
func play(t testing.TB, s Scenario, p *rebound.Policy) PolicyResult {
	t.Helper()
	s.Policies = []*rebound.Policy{p}
	r, err := Run(s)
	if err != nil {
		t.Fatal(err)
	}
	return r.Policies[0]
}

// near reports an error unless got is within the share tol of want.
func near(t testing.TB, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*math.Abs(want)) {
		t.Errorf("%s: got %.5g, want %.5g ± %.2g %%", what, got, want, 100*tol)
	}
}

func fullJitter(base, limit time.Duration) backoff.Backoff {
	return backoff.Exponential{Base: base, Max: limit}
}

// TestIndependentFailures: with k retries, a call fails with probability p^(k+1) instead of p.
func TestIndependentFailures(t *testing.T) {
	for _, fails := range []float64{0.01, 0.1, 0.3, 0.5, 0.9} {
		for _, attempts := range []int{1, 2, 3, 5} {
			t.Run(fmt.Sprintf("p=%v attempts=%d", fails, attempts), func(t *testing.T) {
				r := play(t, Scenario{
					Duration: 1000 * time.Second / slow,
					Clients:  Clients{Rate: 200},
					Server:   Server{Windows: []Window{{Fail: fails}}},
				}, &rebound.Policy{
					Attempts: attempts, Backoff: fullJitter(time.Millisecond, time.Millisecond),
					Budget: budget.Unlimited,
				})
				lost := math.Pow(fails, float64(attempts))
				near(t, "success", r.SuccessRate, 1-lost, 0.02*loose)
				near(t, "load", r.Amplification, (1-lost)/(1-fails), 0.02*loose)
			})
		}
	}
}

// TestBudgetBoundsLoad: a budget of 5 tokens that gets 0.1 for each call and costs 1 for each
// retry. If every second attempt fails, all its tokens are used: 0.1 per call, and those held at
// first and gained over time, divided by the calls.
func TestBudgetBoundsLoad(t *testing.T) {
	const calls = 200 // few enough for the tokens held at first to show
	var load, success float64
	const runs = 300
	for seed := range uint64(runs) {
		r := play(t, Scenario{
			Seed: seed, Duration: 1000 * time.Second, PayPerCall: true,
			Clients: Clients{Count: 1, Calls: calls, Think: Dist{Mean: time.Second}},
			Server:  Server{Windows: []Window{{Fail: 0.5}}},
		}, &rebound.Policy{
			Attempts: 5, Backoff: backoff.Constant(time.Millisecond),
			Budget: &budget.Budget{Capacity: 5, Deposit: 0.1, Refill: 1e-9},
		})
		load += r.Amplification / runs
		success += r.SuccessRate / runs
	}
	near(t, "load", load, 1.121, 0.002)
	near(t, "success", success, 0.56, 0.005)
}

// TestLayersMultiply: each layer retries what the one below has retried, unless errors show it.
func TestLayersMultiply(t *testing.T) {
	for _, attempts := range []int{3, 4} {
		for _, mute := range []bool{true, false} {
			t.Run(fmt.Sprintf("attempts=%d mute=%v", attempts, mute), func(t *testing.T) {
				r := play(t, Scenario{
					Duration: 10000 * time.Second,
					Clients:  Clients{Count: 100, Calls: 10, Think: Dist{Mean: 100 * time.Second}},
					Layers:   []Layer{{Mute: mute}, {Mute: mute}},
					Server:   Server{Windows: []Window{{Fail: 1}}},
				}, &rebound.Policy{Attempts: attempts, Budget: budget.Unlimited})
				want := attempts
				if mute {
					want = attempts * attempts * attempts
				}
				if got := r.Attempts; r.Calls != 1000 || got != int64(1000*want) {
					t.Errorf("%d calls met %d attempts, want 1000 and %d", r.Calls, got, 1000*want)
				}
			})
		}
	}
}

// goodput is the share of calls that are served in the last 20 s.
func goodput(r PolicyResult) float64 {
	var ok, calls int64
	for _, b := range r.Bins[len(r.Bins)-20:] {
		ok += b.OK
		calls += b.Calls
	}
	return float64(ok) / float64(calls)
}

func TestMetastableCollapse(t *testing.T) {
	tenth := &budget.Budget{Capacity: 10, Deposit: 0.1, Refill: 1e-9}
	for _, c := range []struct {
		name     string
		attempts int
		budget   *budget.Budget
		perCall  bool
		load     float64
		recovers bool
	}{
		{"four attempts", 4, budget.Unlimited, false, 0.7, false},
		{"one attempt", 1, budget.Unlimited, false, 0.7, true},
		{"deposit per success", 4, tenth, false, 0.7, true},
		{"deposit per success, high load", 4, tenth, false, 0.95, true},
		{"deposit per call", 4, tenth, true, 0.7, true},
		{"deposit per call, high load", 4, tenth, true, 0.95, false},
		{"the default", 4, nil, false, 0.95, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := metastable()
			s.Clients.Rate, s.Clients.Processes = 1000*c.load, 1
			s.PayPerCall = c.perCall
			if c.load > 0.9 {
				s.Duration = 500 * time.Second
			}
			r := play(t, s, &rebound.Policy{Attempts: c.attempts, Budget: c.budget})
			if r.Recovered != c.recovers {
				t.Errorf("recovered: got %v, want %v", r.Recovered, c.recovers)
			}
			if c.recovers {
				near(t, "goodput at the end", goodput(r), 1, 0.02)
				return
			}
			if got := goodput(r); got > 0.01 {
				t.Errorf("goodput at the end: got %v, want 0", got)
			}
		})
	}
	t.Run("load times four", func(t *testing.T) {
		r := play(t, metastable(), &rebound.Policy{Attempts: 4, Budget: budget.Unlimited})
		var attempts, calls int64
		for _, b := range r.Bins[len(r.Bins)-20:] {
			attempts += b.Attempts
			calls += b.Calls
		}
		near(t, "attempts per call", float64(attempts)/float64(calls), 4, 0.02)
	})
}

// TestHerd: 10,000 clients fail at the same moment, and come back to a server that answers
// everything at once.
func TestHerd(t *testing.T) {
	patient := &rebound.Policy{
		Attempts: rebound.Unlimited, Backoff: fullJitter(100*time.Millisecond, 10*time.Second),
	}
	inStep := herd()
	inStep.NoJitter = true
	limited := herd()
	limited.Server.Windows = []Window{{
		To: 30 * time.Second, Throttle: 1, RetryAfter: 30 * time.Second,
	}}
	exactly := limited
	exactly.NoJitter = true
	for _, c := range []struct {
		name string
		s    Scenario
		want float64 // attempts in the fullest bin of 10 ms
		tol  float64
	}{
		{"no jitter", inStep, 10_000, 0},
		{"full jitter", herd(), 31, 0.2},
		{"an exact Retry-After", exactly, 10_000, 0},
		{"Retry-After with upward jitter", limited, 31, 0.2},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := play(t, c.s, patient)
			near(t, "peak in 10 ms", r.Peak/100, c.want, c.tol)
			if r.OK != 10_000 {
				t.Errorf("%d calls succeeded, want all 10,000", r.OK)
			}
		})
	}
}

// TestQueues compares with closed forms: M/M/1 has a mean time in the system of 1/(μ−λ),
// exponentially distributed; M/M/c without a queue loses calls by Erlang's formula B.
func TestQueues(t *testing.T) {
	once := &rebound.Policy{Attempts: 1}
	for _, rho := range []float64{0.3, 0.7, 0.9} {
		t.Run(fmt.Sprintf("M/M/1 at %v", rho), func(t *testing.T) {
			r := play(t, Scenario{
				Duration: 20_000 * time.Second / slow, Clients: Clients{Rate: 100 * rho},
				Server: Server{Workers: 1, Service: Dist{Mean: 10 * time.Millisecond}},
			}, once)
			stay := 0.01 / (1 - rho)
			near(t, "median", r.Latency.Quantile(0.5).Seconds(), stay*math.Ln2, 0.04*loose)
			near(t, "p99", r.Latency.Quantile(0.99).Seconds(), stay*math.Log(100), 0.06*loose)
			var waiting float64
			for _, b := range r.Bins {
				waiting += float64(b.Queue) / float64(len(r.Bins))
			}
			near(t, "queue", waiting, rho*rho/(1-rho), 0.06*loose)
		})
	}
	for _, c := range []struct {
		workers int
		offered float64
	}{{1, 0.5}, {5, 3}, {10, 10}, {50, 45}} {
		t.Run(fmt.Sprintf("M/M/%d/%[1]d at %v", c.workers, c.offered), func(t *testing.T) {
			r := play(t, Scenario{
				Duration: time.Duration(1e4 / c.offered / slow * 1e9), Clients: Clients{Rate: 100 * c.offered},
				Server: Server{
					Workers: c.workers, Queue: -1, Service: Dist{Mean: 10 * time.Millisecond},
				},
			}, once)
			near(t, "lost", 1-r.SuccessRate, erlangB(c.workers, c.offered), 0.03*loose)
		})
	}
}

func erlangB(workers int, offered float64) float64 {
	b := 1.0
	for n := 1; n <= workers; n++ {
		b = offered * b / (float64(n) + offered*b)
	}
	return b
}
