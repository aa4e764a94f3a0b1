package sim

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// behind is a policy of one attempt with gates.
func behind(gates ...gate.Gate) *rebound.Policy {
	return &rebound.Policy{Attempts: 1, Gates: gates}
}

// together are n clients of one process that each begin a call at time 0.
func together(n int) Clients { return Clients{Count: n, Calls: 1, Burst: true, Processes: 1} }

// Small enough to be counted by hand: of seven attempts that take 100 ms each.
var limitModels = slices.Concat(oneLimit, severalLimits)

var oneLimit = []model{
	{
		"three at a time, two wait",
		Scenario{Clients: together(7), Server: Server{Service: constant(100 * ms)}},
		behind(&limit.Concurrency{Max: 3, Queue: 2}),
		Counts{Calls: 7, OK: 5, Failed: 2, Attempts: 5, Rejected: 2}, 200 * ms, 200 * ms,
	}, {
		"three at a time, for 50 ms two wait",
		Scenario{Clients: together(7), Server: Server{Service: constant(100 * ms)}},
		behind(&limit.Concurrency{Max: 3, Queue: 2, Wait: 50 * ms}),
		Counts{Calls: 7, OK: 3, Failed: 4, Attempts: 3, Rejected: 4}, 100 * ms, 100 * ms,
	}, {
		"a call that ends in the queue", // is none that was rejected
		Scenario{
			Clients: Clients{Count: 7, Calls: 1, Burst: true, Processes: 1, Deadline: 150 * ms},
			Server:  Server{Service: constant(100 * ms)},
		},
		behind(&limit.Concurrency{Max: 3, Queue: 9}),
		Counts{Calls: 7, OK: 3, Failed: 4, Attempts: 6, TimedOut: 3}, 100 * ms, 150 * ms,
	}, {
		"each process has its own",
		Scenario{
			Clients: Clients{Count: 7, Calls: 1, Burst: true, Processes: 2},
			Server:  Server{Service: constant(100 * ms)},
		},
		behind(&limit.Concurrency{Max: 3}),
		Counts{Calls: 7, OK: 6, Failed: 1, Attempts: 6, Rejected: 1}, 100 * ms, 100 * ms,
	}, {
		"ten a second, for 250 ms they wait", // turns at 0, 100 and 200 ms
		Scenario{Clients: together(7), Server: Server{Service: constant(100 * ms)}},
		behind(&limit.Rate{N: 10, Wait: 250 * ms}),
		Counts{Calls: 7, OK: 3, Failed: 4, Attempts: 3, Rejected: 4}, 300 * ms, 300 * ms,
	}, {
		"ten a second, two at once, no later than the deadline", // turns at 0, 0, 100 and 200 ms
		Scenario{
			Clients: Clients{Count: 7, Calls: 1, Burst: true, Processes: 1, Deadline: 250 * ms},
			Server:  Server{Service: constant(100 * ms)},
		},
		behind(&limit.Rate{N: 600, Per: time.Minute, Burst: 2, Wait: time.Hour}),
		Counts{Calls: 7, OK: 3, Failed: 4, Attempts: 4, TimedOut: 1, Rejected: 3}, 200 * ms, 250 * ms,
	}, {
		"a rate without a limit",
		Scenario{Clients: together(7), Server: Server{Service: constant(100 * ms)}},
		behind(&limit.Rate{}),
		Counts{Calls: 7, OK: 7, Attempts: 7}, 100 * ms, 100 * ms,
	},
}

var severalLimits = []model{
	{
		// Turns at 0, 100, … 600 ms, each of which ends before the next: the permit is free.
		"a rate before a limit of one",
		Scenario{Clients: together(7), Server: Server{Service: constant(99 * ms)}},
		behind(&limit.Rate{N: 10, Wait: time.Hour}, &limit.Concurrency{Max: 1}),
		Counts{Calls: 7, OK: 7, Attempts: 7}, 699 * ms, 699 * ms,
	}, {
		// Three get a permit, two of them no turn. They return their permits, and the queue is empty.
		"a limit before a rate",
		Scenario{Clients: together(7), Server: Server{Service: constant(100 * ms)}},
		behind(&limit.Concurrency{Max: 3}, &limit.Rate{N: 10}),
		Counts{Calls: 7, OK: 1, Failed: 6, Attempts: 1, Rejected: 6}, 100 * ms, 100 * ms,
	}, {
		// No permit is held during a delay: the three attempts of the one call end at 100, 200 and
		// 300 ms, between the two of the other.
		"retries enter anew",
		Scenario{
			Clients: together(2),
			Server:  Server{Service: constant(50 * ms), Windows: []Window{{Fail: 1}}},
		},
		&rebound.Policy{
			Attempts: 2, Backoff: backoff.Constant(100 * ms), Budget: budget.Unlimited,
			Gates: []gate.Gate{&limit.Concurrency{Max: 1, Queue: 1}},
		},
		Counts{Calls: 2, Failed: 2, Attempts: 4, Retries: 2, Errors: 4}, 0, 250 * ms,
	}, {
		// The attempt fails at 50 ms, and after a delay there would be no token: the call ends at once.
		"no delay for an attempt that would be rejected",
		Scenario{
			Clients: together(1),
			Server:  Server{Service: constant(50 * ms), Windows: []Window{{Fail: 1}}},
		},
		&rebound.Policy{
			Backoff: backoff.Constant(100 * ms), Gates: []gate.Gate{&limit.Rate{N: 1}},
		},
		Counts{Calls: 1, Failed: 1, Attempts: 1, Errors: 1, Rejected: 1}, 0, 50 * ms,
	}, {
		"a limit for all replicas",
		Scenario{
			Clients: Clients{Count: 7, Calls: 1, Burst: true, Processes: 2},
			Server:  Server{Service: constant(100 * ms), Replicas: 3, Route: Sticky},
		},
		behind(&limit.Concurrency{Max: 3}),
		Counts{Calls: 7, OK: 6, Failed: 1, Attempts: 6, Rejected: 1}, 100 * ms, 100 * ms,
	}, {
		"a breaker behind a limit gives its permit back",
		Scenario{
			Clients: Clients{Count: 1, Calls: 4, Burst: true},
			Server:  Server{Service: constant(50 * ms), Windows: []Window{{Fail: 1}}},
		},
		&rebound.Policy{
			Attempts: 1, Breaker: &breaker.Breaker{Failures: 1},
			Gates: []gate.Gate{&limit.Concurrency{Max: 1}},
		},
		Counts{Calls: 4, Failed: 4, Attempts: 1, Errors: 1, Rejected: 3}, 0, 50 * ms,
	},
}

func TestLimitModels(t *testing.T) {
	for _, m := range limitModels {
		t.Run(m.name, func(t *testing.T) {
			m.s.Duration = time.Second
			r := play(t, m.s, m.p)
			if r.Counts != m.want {
				t.Errorf("got  %+v\nwant %+v", r.Counts, m.want)
			}
			if r.End != m.end || r.OK > 0 && (r.Latency.Quantile(1) < m.slowest ||
				r.Latency.Quantile(1) > m.slowest*104/100) {
				t.Errorf("the slowest took %v and the last ended at %v, want %v and %v",
					r.Latency.Quantile(1), r.End, m.slowest, m.end)
			}
		})
	}
}

// When all calls have ended, nothing is left of them in any limit.
func TestLimitsEndEmpty(t *testing.T) {
	for _, gates := range [][]gate.Gate{
		{&limit.Concurrency{Max: 3, Queue: 5, Wait: 30 * ms}},
		{&limit.Concurrency{Max: 3}, &limit.Rate{N: 10}},
		{&limit.Rate{N: 20, Wait: 200 * ms}, &limit.Adaptive{Initial: 2, Queue: 3}, &limit.Throttle{}},
		{&limit.Adaptive{Initial: 2, Queue: 9}, &limit.Concurrency{Max: 1, Queue: 1}, &limit.Rate{N: 9}},
	} {
		s := Scenario{
			Duration: time.Minute,
			Clients: Clients{
				Count: 20, Calls: 10, Processes: 2, Think: Dist{Mean: 100 * ms}, Deadline: time.Second,
			},
			Server: Server{Service: Dist{Mean: 100 * ms}, Windows: []Window{{Fail: 0.3}}},
		}
		s.Layers = []Layer{{Policy: behind(gates...)}}
		s.Policies = []*rebound.Policy{{
			Gates: gates, AttemptTimeout: 300 * ms, Breaker: &breaker.Breaker{Cooldown: time.Second},
		}}
		s, err := s.complete()
		if err != nil {
			t.Fatal(err)
		}
		x := newEngine(&s, s.Policies[0])
		if err := x.run(); err != nil {
			t.Fatal(err)
		}
		for i := range x.layers {
			for _, limits := range x.layers[i].gates {
				for _, g := range limits {
					p, ok := g.(*permits)
					if _, waiting := g.level(); waiting > 0 || ok && p.inside != 0 {
						t.Errorf("layer %d: %+v", i, g)
					}
				}
			}
		}
		if x.waiting != 0 {
			t.Errorf("%d wait in the end", x.waiting)
		}
	}
}

// A rate learns from rejections, too, whose answers state no number of requests that are left.
func TestRateLearnsFromRejections(t *testing.T) {
	s := Scenario{
		Duration: time.Minute, Clients: Clients{Count: 64, Processes: 1},
		Server: Server{
			Service: Dist{Mean: 200 * ms},
			Limit:   Limit{Tokens: 50, Headers: true},
		},
	}
	p := behind(&limit.Rate{N: 100, Wait: time.Minute})
	r := play(t, s, p)
	s.Server.Limit.Headers = false
	without := play(t, s, p)
	if 4*r.Throttled > without.Throttled || r.OK < 40*60 {
		t.Errorf("%+v\nwithout headers %+v", r.Counts, without.Counts)
	}
}

// A rate admits N in each Per. If there are more calls, N reach the server, and the others wait for
// at most Wait.
func TestRateLimit(t *testing.T) {
	for _, l := range []*limit.Rate{
		{N: 50}, {N: 3000, Per: time.Minute}, {N: 50, Burst: 10}, {N: 50, Wait: time.Second},
	} {
		s := Scenario{Duration: 200 * time.Second, Clients: Clients{Rate: 100}}
		r := play(t, s, behind(l))
		if l.Burst == 0 && l.Wait == 0 {
			// The next call comes 1/λ after the last gap is over, on average.
			near(t, "served", float64(r.OK)/200, 1/(1./50+1./100), 0.02*loose)
		} else {
			near(t, "served", float64(r.OK)/200, 50, 0.02*loose)
		}
		if got := r.Latency.Quantile(1); got > l.Wait+l.Wait/20 || got < l.Wait*8/10 {
			t.Errorf("%v: the longest wait was %v", l.Wait, got)
		}
		// Below the limit every attempt passes, if it may wait.
		s.Clients.Rate = 40
		if r := play(t, s, behind(l)); l.Wait > 0 && r.Rejected > r.Calls/1000 {
			t.Errorf("%d of %d calls were rejected below the limit", r.Rejected, r.Calls)
		}
	}
}

// A concurrency limit in front of a server that serves everything at once is a queue M/M/c/K.
func TestConcurrencyLimit(t *testing.T) {
	for _, c := range []struct {
		most, queue int
		load        float64 // in permits
	}{{1, 0, 0.5}, {10, 0, 8}, {10, 0, 20}, {1, 3, 0.9}, {5, 20, 4.5}, {5, 20, 6}} {
		const mean = 50 * ms
		rate := c.load / mean.Seconds()
		s := Scenario{
			Duration: time.Duration(200_000 / rate * float64(time.Second)), Bin: 10 * time.Second,
			Clients: Clients{Rate: rate}, Server: Server{Service: Dist{Mean: mean}},
		}
		r := play(t, s, behind(&limit.Concurrency{Max: c.most, Queue: c.queue}))
		blocked, waiting := mmck(c.most, c.queue, c.load)
		// Calls are blocked in clusters, so a few thousand of them are as uncertain as a few hundred.
		near(t, "blocked", float64(r.Rejected)/float64(r.Calls), blocked, 0.1*loose)
		mean1 := 0.0
		for _, b := range r.Bins {
			mean1 += float64(b.Waiting) / float64(len(r.Bins))
		}
		if math.Abs(mean1-waiting) > loose*(0.1*waiting+0.05) {
			t.Errorf("%+v: %v wait on average, want %v", c, mean1, waiting)
		}
	}
}

// mmck is the share of the calls that find a queue M/M/c/K full, and the mean of those that wait.
func mmck(servers, places int, load float64) (blocked, waiting float64) {
	weights := []float64{1}
	for n := 1; n <= servers+places; n++ {
		weights = append(weights, weights[n-1]*load/float64(min(n, servers)))
	}
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	for n, w := range weights {
		waiting += float64(max(n-servers, 0)) * w / sum
	}
	return weights[len(weights)-1] / sum, waiting
}

// A throttle lets K attempts pass for each that the server accepts. In front of workers without a
// queue, every second attempt is then lost: Erlang's formula says how many there are.
func TestThrottleLimit(t *testing.T) {
	const workers, mean = 10, 10 * ms
	s := Scenario{
		Duration: 20 * time.Minute, Clients: Clients{Rate: 6000},
		Server: Server{Workers: workers, Service: Dist{Mean: mean}, Queue: -1},
	}
	r := play(t, s, behind(&limit.Throttle{Window: 10 * time.Second}))
	low, high := 0.0, 1e5
	for range 100 {
		if mid := (low + high) / 2; erlangB(workers, mid*mean.Seconds()) < 0.5 {
			low = mid
		} else {
			high = mid
		}
	}
	tail := r.Bins[len(r.Bins)/2:]
	attempts, ok := 0.0, 0.0
	for _, b := range tail {
		attempts += float64(b.Attempts) / float64(len(tail))
		ok += float64(b.OK) / float64(len(tail))
	}
	near(t, "attempts a second", attempts, low, 0.02*loose)
	near(t, "accepted a second", ok, low/2, 0.02*loose)
	// A server that accepts at least half of the attempts is not throttled.
	s.Clients.Rate, s.Duration = 1000, time.Minute
	r = play(t, s, behind(&limit.Throttle{Window: 10 * time.Second}))
	if r.Rejected > r.Calls/1000 {
		t.Errorf("%d of %d calls were rejected by a throttle with no reason", r.Rejected, r.Calls)
	}
}

// Limits at work are those of TestAgainstGoroutines, whose clients call Do behind real ones.
func TestLimitsAgainstGoroutines(t *testing.T) {
	const clients = 2000 / slow
	for name, policy := range map[string]func() *rebound.Policy{
		"concurrency": func() *rebound.Policy {
			return &rebound.Policy{AttemptTimeout: time.Second, Gates: []gate.Gate{
				&limit.Concurrency{Max: 2, Queue: 6, Wait: 100 * ms},
			}}
		},
		"rate": func() *rebound.Policy {
			return &rebound.Policy{AttemptTimeout: time.Second, Gates: []gate.Gate{
				&limit.Rate{N: 9, Burst: 3, Wait: 300 * ms},
			}}
		},
		"adaptive": func() *rebound.Policy {
			return &rebound.Policy{AttemptTimeout: time.Second, Gates: []gate.Gate{
				&limit.Adaptive{Initial: 4, Queue: 20, Target: 60 * ms},
			}}
		},
		"throttle": func() *rebound.Policy {
			return &rebound.Policy{AttemptTimeout: time.Second, Gates: []gate.Gate{
				&limit.Throttle{Window: 10 * time.Second},
			}}
		},
		"all": func() *rebound.Policy {
			return &rebound.Policy{AttemptTimeout: time.Second, MaxElapsed: 3 * time.Second,
				Breaker: &breaker.Breaker{Failures: 10, Cooldown: 5 * time.Second},
				Gates: []gate.Gate{
					&limit.Rate{N: 12, Burst: 5, Wait: time.Second}, &limit.Throttle{},
					&limit.Adaptive{Initial: 3, Queue: 10, Wait: 500 * ms},
				}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := scenarioS(clients)
			s.Duration = 30 * time.Second
			s.Clients.Processes = clients / 100
			s.Server.Windows = []Window{
				{From: 8 * time.Second, To: 13 * time.Second, Refuse: 1},
				{From: 19 * time.Second, To: 22 * time.Second, Slow: 10},
			}
			var got, want []Counts
			for seed := range uint64(seeds) {
				s.Seed = seed
				got = append(got, play(t, s, policy()).Counts)
				want = append(want, goroutines(t, s, policy))
			}
			compare(t, got, want, 0.01)
		})
	}
}

// A rejection of a limit below is final, and nothing was sent to the server.
func TestLimitBetweenLayers(t *testing.T) {
	s := Scenario{
		Duration: time.Second, Clients: together(5),
		Server: Server{Service: constant(100 * ms)},
		Layers: []Layer{{Policy: behind(&limit.Concurrency{Max: 2, Queue: 1})}},
	}
	p := &rebound.Policy{Backoff: backoff.Constant(10 * ms), Budget: budget.Unlimited}
	want := Counts{Calls: 5, OK: 3, Failed: 2, Attempts: 3, Rejected: 2}
	if r := play(t, s, p); r.Counts != want {
		t.Errorf("got  %+v\nwant %+v", r.Counts, want)
	}
	// Over a wire it is a 503, which the layer above retries at 10 and 20 ms, without success.
	s.Layers[0].Mute = true
	want = Counts{Calls: 5, OK: 3, Failed: 2, Attempts: 3, Rejected: 6}
	p.Throttled = backoff.Constant(10 * ms)
	if r := play(t, s, p); r.Counts != want {
		t.Errorf("muted: got  %+v\nwant %+v", r.Counts, want)
	}
	if r := play(t, s, p); !slices.ContainsFunc(r.Bins, func(b Bin) bool { return b.Waiting == 0 }) {
		t.Error("an attempt waits in the end")
	}
}
