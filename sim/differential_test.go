package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
)

// real plays a scenario of the kind that TestAgainstGoroutines uses with goroutines: clients that
// call Do, and a server of workers that take attempts from a channel.
type real struct {
	s       *Scenario
	errs    []error
	jobs    chan job
	begun   time.Time
	mu      sync.Mutex
	counts  Counts
	waiting int
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
	w := x.s.Server.Windows[0]
	if now := time.Since(x.begun); w.From <= now && now < w.To {
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
		x.count(&x.counts.TimedOut)
		return ctx.Err()
	}
}

func (x *real) draw(d Dist) time.Duration {
	return time.Duration(rand.ExpFloat64() * float64(d.Mean))
}

func (x *real) client(ctx context.Context, p *rebound.Policy) {
	for {
		time.Sleep(x.draw(x.s.Clients.Think))
		if ctx.Err() != nil {
			return
		}
		x.count(&x.counts.Calls)
		err := rebound.Run(ctx, p, x.serve)
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

// goroutines plays s with a policy for each process.
func goroutines(t *testing.T, s Scenario, policy func() *rebound.Policy) (c Counts) {
	s, err := s.complete()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		x := &real{
			s: &s, errs: causeErrors(s.Server.Windows), begun: time.Now(),
			jobs: make(chan job, s.Server.Queue),
		}
		for range s.Server.Workers {
			go func() {
				for j := range x.jobs {
					time.Sleep(j.service)
					close(j.done)
				}
			}()
		}
		policies := make([]*rebound.Policy, s.Clients.Processes)
		for i := range policies {
			policies[i] = policy()
		}
		var clients sync.WaitGroup
		for i := range s.Clients.Count {
			clients.Go(func() { x.client(ctx, policies[i%len(policies)]) })
		}
		time.Sleep(s.Duration)
		x.mu.Lock()
		c = x.counts
		x.mu.Unlock()
		cancel()
		clients.Wait()
		close(x.jobs)
	})
	return c
}

// TestAgainstGoroutines compares the simulator with the same scenario played by real goroutines
// that call Do, under synctest's clock: the mean of ten runs of each.
func TestAgainstGoroutines(t *testing.T) {
	const clients, seeds = 10_000 / slow, 10
	const tol = 0.01 * (1 + slow/5)
	guarded := func() *rebound.Policy {
		return &rebound.Policy{
			AttemptTimeout: time.Second,
			Budget:         &budget.Budget{Capacity: 20},
			Breaker:        &breaker.Breaker{Failures: 10, Cooldown: 5 * time.Second},
		}
	}
	for _, c := range []struct {
		name      string
		processes int
		policy    func() *rebound.Policy
	}{
		{"patient", clients, func() *rebound.Policy {
			p := policyS()
			p.AttemptTimeout = time.Second
			return p
		}},
		{"budget and breaker", clients / 100, guarded},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scenarioS(clients)
			s.Duration = 45 * time.Second
			s.Server.Windows[0].From, s.Server.Windows[0].To = 15*time.Second, 25*time.Second
			s.Clients.Processes = c.processes
			var got, want Counts
			for seed := range uint64(seeds) {
				s.Seed = seed
				r := play(t, s, c.policy())
				got.add(&r.Counts)
				n := goroutines(t, s, c.policy)
				want.add(&n)
			}
			t.Logf("%+v", got)
			t.Logf("%+v", want)
			near(t, "calls", float64(got.Calls), float64(want.Calls), tol)
			near(t, "ok", float64(got.OK), float64(want.OK), tol)
			near(t, "attempts", float64(got.Attempts), float64(want.Attempts), tol)
			near(t, "refused", float64(got.Refused), float64(want.Refused), tol)
		})
	}
}
