package sim

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
)

type layerCase struct {
	name    string
	clients int
	layer   Layer
	server  Server
	p       *rebound.Policy // of the clients
	want    Counts
	end     time.Duration
}

// layerCases are small enough to be counted by hand.
func layerCases() []layerCase {
	once := &rebound.Policy{Attempts: 1}
	within := func(d time.Duration) *rebound.Policy {
		return &rebound.Policy{Attempts: 1, AttemptTimeout: d}
	}
	work := constant(100 * ms)
	return []layerCase{
		{"own work takes its time", 3, Layer{Policy: once, Service: work}, Server{Service: work}, once,
			Counts{Calls: 3, OK: 3, Attempts: 3}, 200 * ms},
		{"workers take calls in order", 5, Layer{Policy: once, Workers: 2, Service: work}, Server{}, once,
			Counts{Calls: 5, OK: 5, Attempts: 5}, 300 * ms},
		{"a worker waits for the server", 3, Layer{Policy: once, Workers: 1, Service: work},
			Server{Service: work}, once, Counts{Calls: 3, OK: 3, Attempts: 3}, 600 * ms},
		// Two attempts and a delay of 300 ms for each.
		{"and for its retries", 2,
			Layer{Workers: 1, Policy: &rebound.Policy{Attempts: 2, Backoff: backoff.Constant(300 * ms)}},
			Server{Windows: []Window{{Refuse: 1}}}, once,
			Counts{Calls: 2, Failed: 2, Attempts: 4, Retries: 2, Refused: 4}, 600 * ms},
		// One is served, one waits, one is rejected and retried when the queue has room.
		{"a full queue is a 503", 3, Layer{Policy: once, Workers: 1, Queue: 1, Service: work}, Server{},
			&rebound.Policy{
				Attempts: 2, Throttled: backoff.Constant(150 * ms), Backoff: backoff.Constant(time.Hour),
			},
			Counts{Calls: 3, OK: 3, Attempts: 3, Retries: 1, Shed: 1}, 300 * ms},
		{"no queue", 3, Layer{Policy: once, Workers: 1, Queue: -1, Service: work}, Server{}, once,
			Counts{Calls: 3, OK: 1, Failed: 2, Attempts: 1, Shed: 2}, 100 * ms},
		// Served at 100 and 200 ms; the third is given up in the queue, at 150.
		{"a caller gives up in the queue", 3, Layer{Policy: once, Workers: 1, Service: work}, Server{},
			within(150 * ms), Counts{Calls: 3, OK: 1, Failed: 2, Attempts: 1, Shed: 2}, 150 * ms},
		// The first worker is free at 80, and what is left is too little for the second.
		{"a caller gives up at work", 2, Layer{Policy: once, Workers: 1, Service: work}, Server{},
			within(80 * ms), Counts{Calls: 2, Failed: 2, Shed: 2}, 80 * ms},
		// At 0 and at 100, when the worker is free again.
		{"and frees the worker", 1, Layer{Policy: once, Workers: 1, Queue: -1, Service: work}, Server{},
			&rebound.Policy{Attempts: 2, AttemptTimeout: 80 * ms, Backoff: backoff.Constant(20 * ms)},
			Counts{Calls: 1, Failed: 1, Shed: 2}, 180 * ms},
		{"own work is before the policy's time", 1,
			Layer{Service: work, Policy: &rebound.Policy{
				Attempts: 2, Backoff: backoff.Constant(100 * ms), MaxElapsed: 150 * ms,
			}},
			Server{Windows: []Window{{Refuse: 1}}}, once,
			Counts{Calls: 1, Failed: 1, Attempts: 2, Retries: 1, Refused: 2}, 200 * ms},
		{"a caller gives up at the server", 2, Layer{Policy: once, Workers: 1}, Server{Service: work},
			within(80 * ms), Counts{Calls: 2, Failed: 2, Attempts: 1, TimedOut: 1, Shed: 1}, 80 * ms},
	}
}

func TestLayerWorkers(t *testing.T) {
	for _, c := range layerCases() {
		t.Run(c.name, func(t *testing.T) {
			c.layer.Mute = true
			s := Scenario{Clients: burst(c.clients), Layers: []Layer{c.layer}, Server: c.server}
			s.NoJitter = true
			r := play(t, s, c.p)
			if r.Counts != c.want || r.End != c.end {
				t.Errorf("got end %v, %+v\nwant end %v, %+v", r.End, r.Counts, c.end, c.want)
			}
		})
	}
}

// TestLayerQueueFormulas: a layer is an M/M/c queue. Without a queue it loses calls by Erlang's
// formula B, for any distribution of its workers' time, the server's included.
func TestLayerQueueFormulas(t *testing.T) {
	once := &rebound.Policy{Attempts: 1}
	for _, c := range []struct {
		workers int
		offered float64
		layer   Dist
		server  Dist
	}{
		{1, 0.5, Dist{Mean: 10 * ms}, Dist{}},
		{5, 3, Dist{Mean: 10 * ms}, Dist{}},
		{5, 3, Dist{}, Dist{Mean: 10 * ms, Spread: 10 * ms, Shape: LogNormal}},
		{10, 10, Dist{Mean: 4 * ms, Shape: Constant}, Dist{Mean: 6 * ms}},
	} {
		t.Run(fmt.Sprintf("M/G/%d/%[1]d at %v", c.workers, c.offered), func(t *testing.T) {
			r := play(t, Scenario{
				Duration: time.Duration(1e4 / c.offered / slow * 1e9), Clients: Clients{Rate: 100 * c.offered},
				Layers: []Layer{{Policy: once, Workers: c.workers, Queue: -1, Service: c.layer}},
				Server: Server{Service: c.server},
			}, once)
			near(t, "lost", float64(r.Shed)/float64(r.Calls), erlangB(c.workers, c.offered), 0.03*loose)
		})
	}
	// Two processes share a Poisson process: each is a queue of its own.
	for _, rho := range []float64{0.5, 0.8} {
		r := play(t, Scenario{
			Duration: 10_000 * time.Second / slow, Clients: Clients{Rate: 200 * rho},
			Layers: []Layer{{Policy: once, Processes: 2, Workers: 1, Service: Dist{Mean: 10 * ms}}},
		}, once)
		stay, waiting := 0.01/(1-rho), 0.0
		near(t, "median", r.Latency.Quantile(0.5).Seconds(), stay*math.Ln2, 0.04*loose)
		near(t, "p99", r.Latency.Quantile(0.99).Seconds(), stay*math.Log(100), 0.06*loose)
		for _, b := range r.Bins {
			waiting += float64(b.LayerQueue) / float64(len(r.Bins))
		}
		near(t, "queue", waiting, 2*rho*rho/(1-rho), 0.07*loose)
	}
}

// busyLayer is a layer whose workers wait for a slow server, with goroutines.
type busyLayer struct {
	s       *Scenario
	policy  *rebound.Policy // of the layer
	workers chan bool
	mu      sync.Mutex
	queue   int
	counts  Counts
	begun   time.Time
	errs    []error
}

func (x *busyLayer) count(what *int64) {
	x.mu.Lock()
	*what++
	x.mu.Unlock()
}

// enter waits for a worker.
func (x *busyLayer) enter(ctx context.Context) error {
	select {
	case x.workers <- true:
		return nil
	default:
	}
	x.mu.Lock()
	full := x.queue >= x.s.Layers[0].Queue
	if !full {
		x.queue++
	}
	x.mu.Unlock()
	if full {
		x.count(&x.counts.Shed)
		return x.errs[shut]
	}
	defer func() {
		x.mu.Lock()
		x.queue--
		x.mu.Unlock()
	}()
	select {
	case x.workers <- true:
		return nil
	case <-ctx.Done():
		x.count(&x.counts.Shed)
		return ctx.Err()
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (x *busyLayer) handle(ctx context.Context) error {
	if err := x.enter(ctx); err != nil {
		return err
	}
	defer func() { <-x.workers }()
	own := time.Duration(rand.ExpFloat64() * float64(x.s.Layers[0].Service.Mean))
	if err := sleep(ctx, own); err != nil {
		x.count(&x.counts.Shed)
		return err
	}
	err := rebound.Run(ctx, x.policy, x.serve)
	if e := new(rebound.Error); errors.As(err, &e) {
		return e.Err // between services a status alone crosses the wire
	}
	return err
}

func (x *busyLayer) serve(ctx context.Context) error {
	x.count(&x.counts.Attempts)
	now, w := time.Since(x.begun), x.s.Server.Windows[0]
	service := rand.ExpFloat64() * float64(x.s.Server.Service.Mean)
	trouble := now >= w.From && now < w.To
	if trouble {
		service *= w.Slow
	}
	fails := trouble && rand.Float64() < w.Fail
	if err := sleep(ctx, time.Duration(service)); err != nil {
		x.count(&x.counts.TimedOut)
		return err
	}
	if fails {
		x.count(&x.counts.Errors)
		return x.errs[failed]
	}
	return nil
}

// play has clients call the layer until the end.
func (x *busyLayer) play(t *testing.T, caller *rebound.Policy) (c Counts) {
	synctest.Test(t, func(t *testing.T) {
		x.begun = time.Now()
		x.workers = make(chan bool, x.s.Layers[0].Workers)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var clients sync.WaitGroup
		for range x.s.Clients.Count {
			clients.Go(func() {
				think := func() error {
					return sleep(ctx, time.Duration(rand.ExpFloat64()*float64(x.s.Clients.Think.Mean)))
				}
				for think() == nil {
					x.count(&x.counts.Calls)
					if err := rebound.Run(ctx, caller, x.handle); err == nil {
						x.count(&x.counts.OK)
					} else if ctx.Err() == nil {
						x.count(&x.counts.Failed)
					}
				}
			})
		}
		_ = sleep(ctx, x.s.Duration)
		x.mu.Lock()
		c = x.counts
		x.mu.Unlock()
		cancel()
		clients.Wait()
	})
	return c
}

// TestCascadeAgainstGoroutines: a server that is slow for a while keeps the workers of the layer in
// front of it busy, so that its queue fills up and callers time out in it.
func TestCascadeAgainstGoroutines(t *testing.T) {
	layer := func() *rebound.Policy {
		return &rebound.Policy{Attempts: 2, AttemptTimeout: 500 * ms, Budget: budget.Unlimited}
	}
	caller := &rebound.Policy{Attempts: 3, AttemptTimeout: time.Second, Budget: budget.Unlimited}
	var got, want []Counts
	for seed := range uint64(seeds) {
		s, err := Scenario{
			Seed: seed, Duration: time.Minute,
			Clients: Clients{Count: 300, Think: Dist{Mean: 2 * time.Second}},
			Layers: []Layer{{
				Policy: layer(), Workers: 30, Queue: 60, Service: Dist{Mean: 20 * ms}, Mute: true,
			}},
			Server: Server{Service: Dist{Mean: 50 * ms}, Windows: []Window{{
				From: 15 * time.Second, To: 35 * time.Second, Slow: 6, Fail: 0.2,
			}}},
		}.complete()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, play(t, s, caller).Counts)
		x := busyLayer{s: &s, policy: layer(), errs: causeErrors(&s.Server)}
		want = append(want, x.play(t, caller))
	}
	for name, of := range map[string]func(*Counts) int64{
		"calls":     func(c *Counts) int64 { return c.Calls },
		"ok":        func(c *Counts) int64 { return c.OK },
		"failed":    func(c *Counts) int64 { return c.Failed },
		"attempts":  func(c *Counts) int64 { return c.Attempts },
		"timed out": func(c *Counts) int64 { return c.TimedOut },
		"errors":    func(c *Counts) int64 { return c.Errors },
		"shed":      func(c *Counts) int64 { return c.Shed },
	} {
		g, w := total(got, of), total(want, of)
		t.Logf("%s: %.0f, %.0f real", name, g.sum, w.sum)
		near(t, name, g.sum, w.sum, loose*max(0.01, noise(g, w)/max(w.sum, 1)))
	}
}
