package sim

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
)

// asks is a policy that obeys Retry-After delays exactly.
var asks = &rebound.Policy{
	Attempts: rebound.Unlimited, Backoff: backoff.Constant(time.Hour), Budget: budget.Unlimited,
	Throttled: backoff.Constant(0), MaxRetryAfter: time.Hour,
}

// The cases are counted by hand: clients that all begin at once, no jitter.
func TestLimits(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name     string
		clients  int
		limit    Limit
		attempts int64
		end      time.Duration // of the last call
	}{
		// 3 pass at 0, 3 of 4 at 1 s, the last at 2 s.
		{"fixed windows", 7, Limit{Requests: 3}, 7 + 4 + 1, 2 * s},
		{"fixed windows of 10 s", 7, Limit{Requests: 3, Per: 10 * s}, 7 + 4 + 1, 20 * s},
		// 3 pass at 0, and one in each second, for which all waiting clients come back.
		{"a bucket", 7, Limit{Requests: 3, Per: 3 * s, Bucket: true}, 7 + 4 + 3 + 2 + 1, 4 * s},
		{"in whole seconds", 4, Limit{Requests: 2, Per: s, Bucket: true, Round: s}, 4 + 2, s},
		{"exact", 4, Limit{Requests: 2, Per: s, Bucket: true}, 4 + 2 + 1, s},
		{"tokens", 5, Limit{Tokens: 100, Cost: 40}, 5 + 3 + 1, 2 * s},
		// One call's 40 tokens are there after 0.4 s, or 0.2 s where 20 are left.
		{"tokens of a bucket", 4, Limit{Tokens: 100, Cost: 40, Bucket: true}, 4 + 2 + 1, 600 * ms},
		{"the lower of two", 4, Limit{Requests: 3, Tokens: 2}, 4 + 2, s},
		{"the lower of two, turned round", 4, Limit{Requests: 2, Tokens: 3}, 4 + 2, s},
		// Rejected attempts count: of 4 attempts at 0, one passes, and the last owes 3.
		{"refused ones count", 2, Limit{Requests: 1, Bucket: true, CountRefused: true}, 2 + 1, 2 * s},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := play(t, Scenario{
				Clients: burst(c.clients), Server: Server{Limit: c.limit}, NoJitter: true,
			}, asks)
			if r.OK != int64(c.clients) || r.Attempts != c.attempts || r.End != c.end ||
				r.Throttled != c.attempts-int64(c.clients) {
				t.Errorf("got end %v, %+v; want end %v, %d attempts", r.End, r.Counts, c.end, c.attempts)
			}
		})
	}
}

// Without a Retry-After the policy's own delay is used. A mute layer passes the server's delay on.
func TestLimitsAsk(t *testing.T) {
	p := &rebound.Policy{Attempts: 2, Throttled: backoff.Constant(300 * ms)}
	for _, c := range []struct {
		limit Limit
		layer []Layer
		end   time.Duration
	}{
		{Limit{Requests: 1}, nil, time.Second},
		{Limit{Requests: 1, NoRetryAfter: true}, nil, 300 * ms},
		{Limit{Requests: 1}, []Layer{{Mute: true, Policy: &rebound.Policy{Attempts: 1}}}, time.Second},
	} {
		s := Scenario{Clients: burst(2), Layers: c.layer, Server: Server{Limit: c.limit}, NoJitter: true}
		if r := play(t, s, p); r.End != c.end {
			t.Errorf("%+v: got an end at %v, want %v", c.limit, r.End, c.end)
		}
	}
}

// An answer's headers describe the limit at the moment of arrival, this attempt included.
func TestQuota(t *testing.T) {
	const s = time.Second
	fixed := newLimiter(Limit{Requests: 10, Tokens: 100, Per: 10 * s})
	bucket := newLimiter(Limit{Requests: 10, Tokens: 100, Per: 10 * s, Bucket: true})
	none := newLimiter(Limit{Requests: 2, Per: s})
	for _, c := range []struct {
		limiter *limiter
		at      time.Duration
		tokens  int64
		want    quota
	}{
		{&fixed, 0, 30, quota{9, 70, 10 * s}}, {&fixed, 4 * s, 70, quota{8, 0, 6 * s}},
		{&fixed, 4 * s, 1, quota{8, 0, 6 * s}}, {&fixed, 31 * s, 50, quota{9, 50, 9 * s}},
		{&bucket, 0, 30, quota{9, 70, 3 * s}}, {&bucket, s, 30, quota{9, 50, 5 * s}},
		{&none, 0, 7, quota{1, -1, s}},
	} {
		c.limiter.admit(c.at, c.tokens)
		if got := c.limiter.quota(c.at); got != c.want {
			t.Errorf("at %v, %d tokens: got %+v, want %+v", c.at, c.tokens, got, c.want)
		}
	}
}

// TestLimitFormulas: of a Poisson process of rate λ, each fixed window lets min(N, arrivals) pass,
// and a bucket of one is a counter with a dead time T of 1/N: λ/(1 + λT).
func TestLimitFormulas(t *testing.T) {
	once := &rebound.Policy{Attempts: 1}
	through := func(rate float64, l Limit) float64 {
		r := play(t, Scenario{
			Duration: 5000 * time.Second / slow, Clients: Clients{Rate: rate}, Server: Server{Limit: l},
		}, once)
		if r.OK+r.Throttled != r.Attempts {
			t.Errorf("%+v: they do not add up: %+v", l, r.Counts)
		}
		return float64(r.OK) / (5000 / slow)
	}
	for _, n := range []int{5, 20, 30} {
		const rate = 20.0
		want, p := 0.0, math.Exp(-rate)
		for k := 0; k < 200; k++ {
			want += p * float64(min(k, n))
			p *= rate / float64(k+1)
		}
		near(t, "fixed windows", through(rate, Limit{Requests: n}), want, 0.01*loose)
	}
	for _, rate := range []float64{1, 10, 100} {
		got := through(rate, Limit{Requests: 1, Per: 100 * ms, Bucket: true})
		// Four standard errors of a count, where the race detector leaves time for few calls.
		off := max(0.01*loose, 4/math.Sqrt(5000/slow*rate/(1+rate*0.1)))
		near(t, "a bucket of one", got, rate/(1+rate*0.1), off)
	}
	// Far above the limit, a bucket admits as many attempts, or tokens, as it gets.
	near(t, "a bucket", through(500, Limit{Requests: 20, Bucket: true}), 20, 0.01)
	tokens := Limit{Tokens: 1000, Cost: 50, CostSpread: 40, Bucket: true, CountRefused: false}
	if got := through(500, tokens); got < 20 || got > 1000/10 {
		t.Errorf("tokens: got %v a second, want more than 20, as cheap calls find room more often", got)
	}
}

// limitedServer is a second implementation of a limit, with a lock and floats, for real goroutines.
type limitedServer struct {
	Limit
	mu      sync.Mutex
	begun   time.Time
	window  int64
	used    [2]float64 // requests, tokens
	last    time.Time
	counts  Counts
	service time.Duration
}

func (x *limitedServer) call(context.Context) error {
	x.mu.Lock()
	now := time.Now()
	most, cost := [2]float64{float64(x.Requests), float64(x.Tokens)}, [2]float64{1, float64(x.Cost)}
	x.counts.Attempts++
	if w := int64(now.Sub(x.begun) / x.Per); !x.Bucket && w != x.window {
		x.window, x.used = w, [2]float64{}
	}
	wait := 0.0
	for i := range most {
		if x.Bucket {
			x.used[i] = max(x.used[i]-now.Sub(x.last).Seconds()*most[i]/x.Per.Seconds(), 0)
		}
		if lack := x.used[i] + cost[i] - most[i]; most[i] > 0 && lack > 1e-6 {
			wait = max(wait, lack/most[i]*x.Per.Seconds())
			if !x.Bucket {
				wait = (x.Per - now.Sub(x.begun)%x.Per).Seconds()
			}
		}
	}
	x.last = now
	if wait == 0 || x.CountRefused {
		for i := range most {
			x.used[i] = min(x.used[i]+cost[i], 2*most[i])
		}
	}
	if wait > 0 {
		x.counts.Throttled++
		x.mu.Unlock()
		return status(429, time.Duration(wait*1e9)+1)
	}
	x.mu.Unlock()
	time.Sleep(x.service)
	return nil
}

// TestLimitAgainstGoroutines compares a job of 64 workers at a limited server with real goroutines
// that call Do at another implementation of the limit, under synctest's clock.
func TestLimitAgainstGoroutines(t *testing.T) {
	const workers, service = 64, 2 * time.Second
	policy := func() *rebound.Policy {
		return &rebound.Policy{Attempts: 4, Budget: budget.Unlimited}
	}
	for name, limit := range map[string]Limit{
		"fixed":  {Requests: 500, Per: time.Minute},
		"bucket": {Requests: 10, Tokens: 500, Cost: 70, Bucket: true},
		"tokens": {Tokens: 90_000, Cost: 200, Per: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			var got, want []Counts
			for seed := range uint64(seeds) {
				s := Scenario{
					Seed: seed, Duration: 10 * time.Minute, Clients: Clients{Count: workers, Processes: 1},
					Server: Server{Service: constant(service), Limit: limit},
				}
				got = append(got, play(t, s, policy()).Counts)
				s, err := s.complete()
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, limitedJob(t, s, service, policy()))
			}
			for name, of := range map[string]func(*Counts) int64{
				"calls":     func(c *Counts) int64 { return c.Calls },
				"ok":        func(c *Counts) int64 { return c.OK },
				"attempts":  func(c *Counts) int64 { return c.Attempts },
				"throttled": func(c *Counts) int64 { return c.Throttled },
			} {
				g, w := total(got, of), total(want, of)
				near(t, name, g.sum, w.sum, loose*max(0.01, noise(g, w)/max(w.sum, 1)))
			}
		})
	}
}

// limitedJob plays s with goroutines.
func limitedJob(t *testing.T, s Scenario, service time.Duration, p *rebound.Policy) (c Counts) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), s.Duration)
		defer cancel()
		x := &limitedServer{Limit: s.Server.Limit, begun: time.Now(), last: time.Now(), service: service}
		var workers sync.WaitGroup
		for range s.Clients.Count {
			workers.Go(func() {
				for ctx.Err() == nil {
					x.mu.Lock()
					x.counts.Calls++
					x.mu.Unlock()
					err := rebound.Run(context.Background(), p, x.call)
					x.mu.Lock()
					if ctx.Err() == nil && err == nil {
						x.counts.OK++
					}
					x.mu.Unlock()
				}
			})
		}
		<-ctx.Done()
		x.mu.Lock()
		c = x.counts
		x.mu.Unlock()
		workers.Wait()
	})
	return c
}
