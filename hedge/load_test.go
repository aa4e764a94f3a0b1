package hedge

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

// service answers after a time of its own.
type service struct {
	requests atomic.Int64
	mu       sync.Mutex
	latency  func() time.Duration
}

func (s *service) call(ctx context.Context) (int, error) {
	s.requests.Add(1)
	s.mu.Lock()
	d := s.latency()
	s.mu.Unlock()
	select {
	case <-time.After(d):
		return 1, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// load makes calls, some workers at a time, and returns the times they took, sorted, and the
// requests per call.
func load(
	t *testing.T, h *Hedge, s *service, workers, calls int,
) (times []time.Duration, cost float64) {
	times = make([]time.Duration, workers*calls)
	before := s.requests.Load()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range calls {
				start := time.Now()
				var err error
				if h == nil {
					_, err = s.call(t.Context())
				} else {
					_, err = Do(t.Context(), h, s.call, nil)
				}
				if err != nil {
					t.Error(err)
				}
				times[w*calls+i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	slices.Sort(times)
	return times, float64(s.requests.Load()-before) / float64(len(times))
}

func p99(times []time.Duration) time.Duration { return times[len(times)*99/100] }

// usual is a time from 8 to 12 ms.
func usual(r *rand.Rand) time.Duration { return 8*ms + time.Duration(r.Int64N(int64(4*ms))) }

// oneSlow takes 1 s for one answer of each hundred.
func oneSlow(r *rand.Rand) func() time.Duration {
	n, slow := 0, 0
	return func() time.Duration {
		if n%100 == 0 {
			slow = n + r.IntN(100)
		}
		n++
		if n-1 == slow {
			return time.Second
		}
		return usual(r)
	}
}

// twoSlow takes 1 s for each answer with a chance of a fiftieth.
func twoSlow(r *rand.Rand) func() time.Duration {
	return func() time.Duration {
		if r.IntN(50) == 0 {
			return time.Second
		}
		return usual(r)
	}
}

// allSlow takes 300 ms to 1 s.
func allSlow(r *rand.Rand) func() time.Duration {
	return func() time.Duration { return 300*ms + time.Duration(r.Int64N(int64(700*ms))) }
}

// If one answer in a hundred is slow, hedges at least halve the 99th percentile, for at most a
// twentieth more requests.
func TestTail(t *testing.T) {
	for name, row := range map[string]struct {
		hedge   func() *Hedge
		service func(*rand.Rand) func() time.Duration
	}{
		"measured": {func() *Hedge { return &Hedge{} }, oneSlow},
		"fixed":    {func() *Hedge { return &Hedge{After: 20 * ms} }, oneSlow},
		"p98":      {func() *Hedge { return &Hedge{Percentile: .98} }, oneSlow},
		"three":    {func() *Hedge { return &Hedge{Max: 3} }, oneSlow},
		"shared":   {func() *Hedge { return &Hedge{Budget: &budget.Budget{Refill: 2}} }, oneSlow},
		"by two":   {func() *Hedge { return &Hedge{} }, twoSlow},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				synctest.Test(t, func(t *testing.T) {
					s := &service{latency: row.service(rand.New(rand.NewPCG(seed, 4)))}
					plain, _ := load(t, nil, s, 4, 1000)
					hedged, cost := load(t, row.hedge(), s, 4, 1000)
					if p99(hedged) > p99(plain)/2 || cost > 1.05 {
						t.Errorf("seed %d: p99 %v for %.3f requests a call, %v without hedges",
							seed, p99(hedged), cost, p99(plain))
					}
				})
			}
		})
	}
}

// A service that becomes slow as a whole gets at most a tenth more requests, whatever the delay
// is and however many hedges a call may have. The share is of the last 200 calls: those before
// have left room for 20.
func TestBrownOut(t *testing.T) {
	const workers, calls = 8, 500
	for name, row := range map[string]struct {
		hedge func() *Hedge
		extra float64 // requests for a call
	}{
		"measured": {func() *Hedge { return &Hedge{} }, .06},
		"median":   {func() *Hedge { return &Hedge{Percentile: .5, Max: 3} }, .06},
		"fixed":    {func() *Hedge { return &Hedge{After: 20 * ms, Max: 5} }, .06},
		"unlimited": {func() *Hedge {
			return &Hedge{After: 20 * ms, Max: 5, Budget: budget.Unlimited}
		}, .1 + 20./(workers*calls)},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				synctest.Test(t, func(t *testing.T) {
					r := rand.New(rand.NewPCG(seed, 5))
					s := &service{latency: oneSlow(r)}
					h := row.hedge()
					load(t, h, s, workers, calls)
					s.latency = allSlow(r)
					if _, cost := load(t, h, s, workers, calls); cost > 1+row.extra {
						t.Errorf("seed %d: %.3f requests a call", seed, cost)
					}
				})
			}
		})
	}
}

// There is no delay before 20 successes. Failures do not count as successes.
func TestSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hedge{Name: "reads"}
		for i := range 40 {
			s := &script{legs: []leg{{10 * ms, nil, false}}}
			if i%2 == 0 {
				s.legs[0].err = errOne
			}
			if i%4 == 1 {
				s.legs[0].err = answer{} // which counts as one
			}
			if d := h.Snapshot().Delay; d != 0 {
				t.Errorf("a delay of %v after %d calls", d, i)
			}
			_, _ = Do(t.Context(), h, s.call, nil)
		}
		want := Snapshot{Name: "reads", Calls: 40, Samples: 20, Delay: h.Snapshot().Delay}
		if got := h.Snapshot(); got != want || got.Delay < 10*ms || got.Delay > 12*ms {
			t.Errorf("%+v", got)
		}
		s := &script{legs: []leg{{time.Hour, nil, false}, {ms, nil, false}}}
		if v, err := Do(t.Context(), h, s.call, nil); v != 2 || err != nil {
			t.Error(v, err)
		}
		want.Calls, want.Hedges, want.Won, want.Samples = 41, 1, 1, 21
		if got := h.Snapshot(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

// late makes a call that is late, and returns why its hedge was denied.
func late(t *testing.T, h *Hedge) (why Reason) {
	h.Observe = func(_ context.Context, e Event) {
		if e.Kind == Denied {
			why = e.Reason
		}
	}
	s := &script{legs: []leg{{150 * ms, nil, false}, {150 * ms, nil, false}}}
	if _, err := Do(t.Context(), h, s.call, nil); err != nil {
		t.Error(err)
	}
	return why
}

// Why a hedge is denied, and for how long.
func TestDenied(t *testing.T) {
	type row struct {
		wait time.Duration // before a late call
		err  error         // or: of another call before
		why  Reason
	}
	for name, tt := range map[string]struct {
		hedge *Hedge
		rows  []row
	}{
		"share": {&Hedge{}, []row{{why: ""}, {why: ""}, {why: ""}, {why: TooMany}}},
		"budget": {&Hedge{Budget: &budget.Budget{Capacity: 1, Refill: 1}}, []row{
			{why: ""}, {why: OutOfBudget}, {wait: time.Second, why: ""}}},
		"rate limited": {&Hedge{}, []row{{err: limited{fault.RateLimited, 0}},
			{wait: 700 * ms, why: Throttled}, {wait: 100 * ms, why: ""}}},
		"overloaded": {&Hedge{}, []row{{err: limited{fault.Overloaded, 5 * time.Second}},
			{wait: 4*time.Second + 700*ms, why: Throttled}, {wait: 100 * ms, why: ""}}},
		"asked to wait": {&Hedge{}, []row{{err: limited{fault.Transient, 24 * time.Hour}},
			{wait: time.Minute, why: Throttled}, {wait: time.Minute, why: ""}}},
		"failed": {&Hedge{}, []row{{err: errOne}, {why: ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := tt.hedge
				h.After = 100 * ms
				denied := uint64(0)
				for i, row := range tt.rows {
					time.Sleep(row.wait)
					if row.err != nil {
						s := &script{legs: []leg{{ms, row.err, false}}}
						_, _ = Do(t.Context(), h, s.call, nil)
						continue
					}
					if name != "share" {
						for range 20 {
							h.failure() // room in the share, and none in the budget
						}
					}
					if why := late(t, h); why != row.why {
						t.Errorf("row %d: denied %q, want %q", i, why, row.why)
					}
					if row.why != "" {
						denied++
					}
				}
				if got := h.Snapshot().Denied; got != denied {
					t.Errorf("%d denied, want %d", got, denied)
				}
			})
		})
	}
}

// A budget of the hedge's own holds ten hedges, and each success gives back a twentieth.
func TestOwnBudget(t *testing.T) {
	var h Hedge
	room := func() {
		for range 100 {
			h.failure()
		}
	}
	for range 10 {
		room()
		if why := h.take(); why != "" {
			t.Fatal(why)
		}
	}
	room()
	if why := h.take(); why != OutOfBudget {
		t.Errorf("an eleventh hedge: denied %q", why)
	}
	for range 20 {
		h.success(0, false)
	}
	if why := h.take(); why != "" {
		t.Errorf("after 20 successes: denied %q", why)
	}
	if why := h.take(); why != OutOfBudget {
		t.Errorf("and one more: denied %q", why)
	}
}

// A hedge that the budget denies does not use up the share.
func TestDeniedHedgeIsNoShare(t *testing.T) {
	h := &Hedge{Budget: &budget.Budget{Capacity: 1, Refill: budget.None}}
	first := h.take()
	for range 10 {
		h.failure()
	}
	second := h.take()
	for range 5 {
		_ = h.take()
	}
	h.Budget.Return()
	if third := h.take(); first != "" || second != OutOfBudget || third != "" {
		t.Errorf("denied %q, %q, %q", first, second, third)
	}
}

// All callers without a hedge share one.
func TestNil(t *testing.T) {
	var none *Hedge
	before := none.Snapshot().Calls
	s := &script{legs: []leg{{0, nil, false}}}
	if v, err := Do(t.Context(), nil, s.call, nil); v != 1 || err != nil {
		t.Error(v, err)
	}
	if got := none.Snapshot().Calls; got != before+1 {
		t.Errorf("%d calls, want %d", got, before+1)
	}
}

// Max applies from the first call on.
func TestMaxOfTheFirstCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hedge{After: 100 * ms, Max: 3}
		s := &script{legs: []leg{{time.Second, nil, false}, {time.Second, nil, false},
			{time.Second, nil, false}, {ms, nil, false}}}
		start := time.Now()
		v, err := Do(t.Context(), h, s.call, nil)
		if v != 4 || err != nil || time.Since(start) != 301*ms {
			t.Errorf("%d, %v after %v, want the answer of the third hedge", v, err, time.Since(start))
		}
	})
}
