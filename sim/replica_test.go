package sim

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/internal/circuit"
)

// TestReplicaFormulas: one of n replicas refuses everything. k attempts at random ones fail with
// probability (1/n)ᵏ; sticky calls with 1/n, whatever they do. A breaker for each replica removes
// the load from the broken one. If calls avoid that replica, none fails.
func TestReplicaFormulas(t *testing.T) {
	const n, k = 4, 3
	bad := 1.0 / n
	opens := &breaker.Breaker{Failures: 5, Cooldown: time.Hour}
	for _, c := range []struct {
		route         Route
		breaker       *breaker.Breaker
		success, load float64
	}{
		{"", nil, 1 - math.Pow(bad, k), (1 - math.Pow(bad, k)) / (1 - bad)},
		{Balanced, nil, 1 - math.Pow(bad, k), (1 - math.Pow(bad, k)) / (1 - bad)},
		{Sticky, nil, 1 - bad, 1 - bad + k*bad},
		{Sticky, opens, 1 - bad, 1 - bad},
		{Avoiding, nil, 1 - math.Pow(bad, k), (1 - math.Pow(bad, k)) / (1 - bad)},
		{Avoiding, opens, 1, 1},
	} {
		t.Run(fmt.Sprintf("%s breaker=%v", c.route, c.breaker != nil), func(t *testing.T) {
			r := play(t, Scenario{
				Duration: 500 * time.Second / slow, Clients: Clients{Rate: 100},
				Server: Server{
					Replicas: n, Route: c.route, Windows: []Window{{Refuse: 1, Replicas: 1}},
				},
			}, &rebound.Policy{
				Attempts: k, Backoff: backoff.Constant(ms), Budget: budget.Unlimited, Breaker: c.breaker,
			})
			near(t, "success", r.SuccessRate, c.success, 0.01*loose)
			near(t, "load", r.Amplification, c.load, 0.01*loose)
		})
	}
}

// TestSlowReplica: each replica behind a balancer has its own queue and its part of a Poisson
// process. One is slower. The latency of all is a mixture of M/M/1.
func TestSlowReplica(t *testing.T) {
	const n, rate, mean, factor = 5, 300.0, 0.01, 1.5
	r := play(t, Scenario{
		Duration: 5000 * time.Second / slow, Clients: Clients{Rate: rate},
		Server: Server{
			Replicas: n, Workers: 1, Service: Dist{Mean: 10 * ms},
			Windows: []Window{{Slow: factor, Replicas: 1}},
		},
	}, &rebound.Policy{Attempts: 1})
	late := func(t float64) float64 { // the share of the calls that take longer
		fast, slow := 1/mean-rate/n, 1/(mean*factor)-rate/n
		return math.Exp(-fast*t)*(n-1)/n + math.Exp(-slow*t)/n
	}
	// A queue near its capacity changes slowly, so the end of the tail needs a long run.
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999}[:4-loose/2] {
		got := r.Latency.Quantile(q).Seconds()
		low, high := 0.0, 10.0
		for range 60 {
			if mid := (low + high) / 2; late(mid) > 1-q {
				low = mid
			} else {
				high = mid
			}
		}
		near(t, fmt.Sprint("quantile ", q), got, low, 0.06*loose)
	}
}

// The healthy replicas share the load of an avoided one evenly.
func TestAvoidingSpreads(t *testing.T) {
	l := newLayer(&rebound.Policy{
		Breaker: &breaker.Breaker{Failures: 1, Cooldown: time.Hour},
	}, 1, 4, 0, make([]error, throttled))
	l.avoiding = true
	l.breakers[2].Record(l.breaker, 0, circuit.Result{Verdict: circuit.Bad})
	var counts [4]int
	r := newRandom(1, 1)
	for range 30_000 {
		var f frame
		if !l.admit(&f, 0, &r) {
			t.Fatal("no replica admits an attempt, want the three healthy ones")
		}
		counts[f.process]++
	}
	for i, n := range counts {
		if want := 10_000.0; i == 2 && n != 0 || i != 2 && math.Abs(float64(n)-want) > 300 {
			t.Errorf("got %v attempts, want none at replica 2, about %v at the others", counts, want)
		}
	}
	for i := range l.breakers {
		l.breakers[i].Record(l.breaker, 0, circuit.Result{Verdict: circuit.Bad})
	}
	var f frame
	if l.admit(&f, 0, &r) || !l.refuses(0, 0, time.Minute) {
		t.Error("an attempt is admitted though all breakers are open")
	}
}

// TestRamp: trouble fades away in a straight line, so half of it happens within the ramp.
func TestRamp(t *testing.T) {
	const s = time.Second
	fades := Window{From: 10 * s, To: 20 * s, Ramp: 10 * s, Fail: 0.4, Slow: 3}
	r := play(t, Scenario{
		Duration: 40 * s, Clients: Clients{Rate: 5000}, Server: Server{Windows: []Window{fades}},
	}, &rebound.Policy{Attempts: 1})
	for second, want := range map[int]float64{
		9: 0, 10: 0.4, 19: 0.4, 20: 0.38, 24: 0.22, 25: 0.18, 29: 0.02, 30: 0,
	} {
		b := r.Bins[second]
		if got := float64(b.Errors) / float64(b.Attempts); math.Abs(got-want) > 0.03 {
			t.Errorf("second %d: a share of %.3f fails, want %v", second, got, want)
		}
	}
	server := newServer(Server{
		Replicas: 1, Service: constant(100 * ms), Windows: []Window{fades},
	}, 40*s)
	for at, want := range map[time.Duration]time.Duration{
		0: 100 * ms, 10 * s: 300 * ms, 20*s - 1: 300 * ms, 25 * s: 200 * ms, 30 * s: 100 * ms,
	} {
		if got := server.work(0, at, at, new(random)); got != want {
			t.Errorf("begun at %v: got %v, want %v", at, got, want)
		}
	}
	scenario := Scenario{Duration: 40 * s, Server: Server{Windows: []Window{fades}}}
	if got := scenario.trouble(); got != 30*s {
		t.Errorf("the trouble ends at %v, want 30s", got)
	}
}

// TestPoison: a share q of the calls fails in every attempt. The others fail independently.
func TestPoison(t *testing.T) {
	const q, p = 0.1, 0.3
	for _, k := range []int{1, 3, 5} {
		r := play(t, Scenario{
			Duration: 1000 * time.Second / slow, Clients: Clients{Rate: 200, Poison: q},
			Server: Server{Windows: []Window{{Fail: p}}},
		}, &rebound.Policy{Attempts: k, Backoff: backoff.Constant(ms), Budget: budget.Unlimited})
		lost := math.Pow(p, float64(k))
		near(t, "success", r.SuccessRate, (1-q)*(1-lost), 0.01*loose)
		near(t, "load", r.Amplification, (1-q)*(1-lost)/(1-p)+q*float64(k), 0.01*loose)
	}
}

// TestStickyAgainstGoroutines compares a breaker for each process and replica with goroutines that
// call Do, each call with the policy of its process and a replica that it picked.
func TestStickyAgainstGoroutines(t *testing.T) {
	const replicas, processes = 3, 20
	policy := func() *rebound.Policy {
		return &rebound.Policy{
			Attempts: 3, Breaker: &breaker.Breaker{Failures: 3, Cooldown: 2 * time.Second},
		}
	}
	var got, want []Counts
	for seed := range uint64(seeds) {
		s := Scenario{
			Seed: seed, Duration: time.Minute,
			Clients: Clients{Count: 10 * processes, Think: Dist{Mean: time.Second}, Processes: processes},
			Server: Server{
				Replicas: replicas, Route: Sticky, Service: Dist{Mean: 50 * ms},
				Windows: []Window{{From: 10 * time.Second, To: 40 * time.Second, Fail: 0.9, Replicas: 1}},
			},
		}
		got = append(got, play(t, s, policy()).Counts)
		want = append(want, stickyCalls(t, s, policy))
	}
	for name, of := range map[string]func(*Counts) int64{
		"calls":    func(c *Counts) int64 { return c.Calls },
		"ok":       func(c *Counts) int64 { return c.OK },
		"attempts": func(c *Counts) int64 { return c.Attempts },
		"errors":   func(c *Counts) int64 { return c.Errors },
	} {
		g, w := total(got, of), total(want, of)
		near(t, name, g.sum, w.sum, loose*max(0.01, noise(g, w)/max(w.sum, 1)))
	}
}

// stickyCalls plays s with goroutines.
func stickyCalls(t *testing.T, s Scenario, policy func() *rebound.Policy) (c Counts) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		count := func(what *int64) {
			mu.Lock()
			*what++
			mu.Unlock()
		}
		wait := func(d Dist) { time.Sleep(time.Duration(rand.ExpFloat64() * float64(d.Mean))) }
		begun, w := time.Now(), s.Server.Windows[0]
		over := func() bool { return time.Since(begun) >= s.Duration }
		failure := status(500, 0)
		call := func(replica int) error {
			count(&c.Attempts)
			now := time.Since(begun)
			fails := replica == 0 && now >= w.From && now < w.To && rand.Float64() < w.Fail
			wait(s.Server.Service)
			if !fails {
				return nil
			}
			count(&c.Errors)
			return failure
		}
		var clients sync.WaitGroup
		policies := make([]*rebound.Policy, s.Clients.Processes*s.Server.Replicas)
		for i := range policies {
			policies[i] = policy()
		}
		for i := range s.Clients.Count {
			clients.Go(func() {
				for wait(s.Clients.Think); !over(); wait(s.Clients.Think) {
					count(&c.Calls)
					replica := rand.IntN(s.Server.Replicas)
					p := policies[i%s.Clients.Processes*s.Server.Replicas+replica]
					err := rebound.Run(context.Background(), p, func(context.Context) error {
						return call(replica)
					})
					if err == nil {
						count(&c.OK)
					}
				}
			})
		}
		clients.Wait()
	})
	return c
}
