package sim

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/hedge"
)

// real plays a scenario like those of TestAgainstGoroutines with goroutines. Clients call Do, and
// the server's workers take attempts from a channel.
type real struct {
	s      *Scenario
	errs   []error
	jobs   chan job
	begun  time.Time
	mu     sync.Mutex
	counts Counts
}

type job struct {
	service time.Duration
	done    chan struct{}
}

func (x *real) count(what *int64) {
	x.mu.Lock()
	*what++
	x.mu.Unlock()
}

// serve is the server's side of an attempt.
func (x *real) serve(ctx context.Context) error {
	x.count(&x.counts.Attempts)
	if w := x.s.Server.Windows[0]; x.in(w) {
		x.count(&x.counts.Refused)
		return x.errs[refused]
	}
	j := job{x.draw(x.s.Server.Service), make(chan struct{})}
	select {
	case x.jobs <- j:
	default:
		x.count(&x.counts.Refused)
		return x.errs[full]
	}
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		// A request that loses to another one does not count.
		if !errors.Is(context.Cause(ctx), hedge.ErrLost) {
			x.count(&x.counts.TimedOut)
		}
		return ctx.Err()
	}
}

// toil is a worker.
func (x *real) toil() {
	for j := range x.jobs {
		if w := x.s.Server.Windows[1]; x.in(w) {
			j.service = time.Duration(float64(j.service) * w.Slow)
		}
		time.Sleep(j.service)
		close(j.done)
	}
}

// in reports whether it is the time of w.
func (x *real) in(w Window) bool {
	now := time.Since(x.begun)
	return w.From <= now && now < w.To
}

func (x *real) draw(d Dist) time.Duration {
	return time.Duration(rand.ExpFloat64() * float64(d.Mean))
}

// client calls the server directly, or through a hedge.
func (x *real) client(ctx context.Context, p *rebound.Policy, h *hedge.Hedge) {
	request := x.serve
	if h != nil {
		request = func(ctx context.Context) error {
			_, err := hedge.Do(ctx, h, func(ctx context.Context) (struct{}, error) {
				return struct{}{}, x.serve(ctx)
			}, nil)
			return err
		}
	}
	for {
		time.Sleep(x.draw(x.s.Clients.Think))
		if ctx.Err() != nil {
			return
		}
		x.count(&x.counts.Calls)
		err := rebound.Run(ctx, p, request)
		switch {
		case errors.Is(err, rebound.Canceled):
			return
		case err == nil:
			x.count(&x.counts.OK)
			continue
		case errors.Is(err, rebound.OutOfBudget):
			x.count(&x.counts.Denied)
		case errors.Is(err, rebound.Rejected):
			x.count(&x.counts.Rejected)
		}
		x.count(&x.counts.Failed)
	}
}

// seeds is the number of runs of the simulator, and of goroutines, that are compared.
const seeds = 14

// sample is the sum of a count over several runs, and the variance of that sum.
type sample struct{ sum, variance float64 }

func total(runs []Counts, of func(*Counts) int64) (s sample) {
	for i := range runs {
		s.sum += float64(of(&runs[i]))
	}
	n := float64(len(runs))
	for i := range runs {
		d := float64(of(&runs[i])) - s.sum/n
		s.variance += d * d * n / (n - 1)
	}
	return s
}

// noise is how far two sums may be apart by chance: 8 standard errors. The errors are estimated
// from the runs, so the distance has Student's distribution with 26 degrees of freedom. It is
// longer once in 50 million comparisons, and the tests make about 120. With ten runs and 6 standard
// errors it was once in 90 thousand.
func noise(a, b sample) float64 { return 8 * math.Sqrt(a.variance+b.variance) }

// goroutines plays s with a policy for each process.
func goroutines(t *testing.T, s Scenario, policy func() *rebound.Policy) Counts {
	return hedgedGoroutines(t, s, policy, func() *hedge.Hedge { return nil })
}

// hedgedGoroutines plays s with a policy and a hedge for each process.
func hedgedGoroutines(
	t *testing.T, s Scenario, policy func() *rebound.Policy, hedged func() *hedge.Hedge,
) (c Counts) {
	s, err := s.complete()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		x := &real{
			s: &s, errs: causeErrors(&s.Server), begun: time.Now(),
			jobs: make(chan job, s.Server.Queue),
		}
		for range s.Server.Workers {
			go x.toil()
		}
		policies := make([]*rebound.Policy, s.Clients.Processes)
		hedges := make([]*hedge.Hedge, s.Clients.Processes)
		for i := range policies {
			policies[i], hedges[i] = policy(), hedged()
		}
		var clients sync.WaitGroup
		for i := range s.Clients.Count {
			clients.Go(func() { x.client(ctx, policies[i%len(policies)], hedges[i%len(hedges)]) })
		}
		time.Sleep(s.Duration)
		x.mu.Lock()
		c = x.counts
		x.mu.Unlock()
		for _, h := range hedges {
			if h != nil {
				now := h.Snapshot()
				c.Hedges += int64(now.Hedges)
				c.HedgesWon += int64(now.Won)
			}
		}
		cancel()
		clients.Wait()
		close(x.jobs)
	})
	return c
}

// TestAgainstGoroutines compares the simulator with the same scenario played by real goroutines
// that call Do, under synctest's clock: the sum of ten runs of each, to within 1 % or the noise.
// Clients that fail together come back together, so counts are noisier than independent ones. The
// noise is measured by the differences between the ten runs.
func TestAgainstGoroutines(t *testing.T) {
	const clients = 10_000 / slow
	for _, c := range []struct {
		name      string
		processes int
		tol       float64
		policy    func() *rebound.Policy
	}{
		{"patient", clients, 0.01, func() *rebound.Policy {
			p := policyS()
			p.AttemptTimeout = time.Second
			return p
		}},
		{"budget", clients / 100, 0.01, func() *rebound.Policy {
			return &rebound.Policy{Attempts: 4, AttemptTimeout: time.Second}
		}},
		// All clients of a process have the same results here, so the noise averages out slowly.
		{"breaker", clients / 100, 0.04, func() *rebound.Policy {
			return &rebound.Policy{
				AttemptTimeout: time.Second,
				Breaker:        &breaker.Breaker{Failures: 10, Cooldown: 5 * time.Second},
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scenarioS(clients)
			s.Duration = 30 * time.Second
			s.Clients.Processes = c.processes
			s.Server.Windows = []Window{
				{From: 8 * time.Second, To: 13 * time.Second, Refuse: 1},
				{From: 19 * time.Second, To: 22 * time.Second, Slow: 10},
			}
			var got, want []Counts
			for seed := range uint64(seeds) {
				s.Seed = seed
				got = append(got, play(t, s, c.policy()).Counts)
				want = append(want, goroutines(t, s, c.policy))
			}
			compare(t, got, want, c.tol)
		})
	}
}

// compare reports counts whose sums differ by more than the share tol and the noise.
func compare(t *testing.T, got, want []Counts, tol float64) {
	t.Helper()
	for name, of := range map[string]func(*Counts) int64{
		"calls":      func(c *Counts) int64 { return c.Calls },
		"ok":         func(c *Counts) int64 { return c.OK },
		"attempts":   func(c *Counts) int64 { return c.Attempts },
		"refused":    func(c *Counts) int64 { return c.Refused },
		"timed out":  func(c *Counts) int64 { return c.TimedOut },
		"hedges":     func(c *Counts) int64 { return c.Hedges },
		"hedges won": func(c *Counts) int64 { return c.HedgesWon },
		"denied":     func(c *Counts) int64 { return c.Denied },
		"rejected":   func(c *Counts) int64 { return c.Rejected },
	} {
		g, w := total(got, of), total(want, of)
		few := 6 * math.Sqrt(max(w.sum, 1)) // the noise of a small count, and rather more
		if off := loose * max(tol*w.sum, few, noise(g, w)); math.Abs(g.sum-w.sum) > off {
			t.Errorf("%s: got %v, want %v ± %.3g", name, g.sum, w.sum, off)
		}
	}
}
