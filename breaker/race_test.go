package breaker_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
)

// together runs f on n goroutines at once.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// TestWindowCountsAll: no call is lost, with the lock or without.
func TestWindowCountsAll(t *testing.T) {
	const goroutines, each = 8, 5000
	b := &breaker.Breaker{Rate: 1, MinCalls: 1, Window: time.Hour}
	succeed(b, 1)
	together(goroutines, func(i int) {
		for n := range each {
			switch {
			case n%10 == 0:
				fail(b, 1)
			case n%100 == i:
				b.Snapshot()
				fallthrough
			default:
				succeed(b, 1)
			}
		}
	})
	s := b.Snapshot()
	if s.Calls != goroutines*each+1 || s.Failed != goroutines*each/10 {
		t.Errorf("got %d calls, %d failed, want %d and %d", s.Calls, s.Failed,
			goroutines*each+1, goroutines*each/10)
	}
}

// TestProbesTogether: exactly Probes calls are admitted, however many come at once.
func TestProbesTogether(t *testing.T) {
	b := &breaker.Breaker{Probes: 3}
	for range 200 {
		b.ForceHalfOpen()
		var admitted atomic.Int32
		together(8, func(int) {
			if _, err := b.Enter(context.Background()); err == nil {
				admitted.Add(1)
			}
		})
		if got := admitted.Load(); got != 3 {
			t.Fatalf("%d probes admitted, want 3", got)
		}
	}
}

// TestHammer does everything at once. The reported changes must be one sequence, reported one at a
// time, that ends in the breaker's state.
func TestHammer(t *testing.T) {
	t.Run("row", func(t *testing.T) {
		hammer(t, &breaker.Breaker{Failures: 2, Probes: 2, Cooldown: 1})
	})
	t.Run("window", func(t *testing.T) {
		hammer(t, &breaker.Breaker{Rate: 0.3, MinCalls: 3, Cooldown: 50 * time.Microsecond,
			Window: time.Millisecond, SlowRate: 0.5, SlowAfter: 20 * time.Microsecond})
	})
	t.Run("calls", func(t *testing.T) {
		hammer(t, &breaker.Breaker{Rate: 0.3, WindowCalls: 7, Probes: 3, Cooldown: 1,
			MaxCooldown: 50 * time.Microsecond})
	})
	t.Run("shadow", func(t *testing.T) {
		hammer(t, &breaker.Breaker{Failures: 2, Shadow: true, Cooldown: time.Microsecond})
	})
}

func hammer(t *testing.T, b *breaker.Breaker) {
	var refused atomic.Uint64
	var telling atomic.Bool
	var last breaker.Change
	reported := 0
	b.OnChange = func(c breaker.Change) {
		if !telling.CompareAndSwap(false, true) {
			t.Errorf("two changes are reported at the same time")
		}
		if c.From != last.To {
			t.Errorf("a change from %v follows one to %v", c.From, last.To)
		}
		last = c
		reported++
		b.State()
		telling.Store(false)
	}
	together(6, func(i int) {
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		for range 5000 {
			switch rng.IntN(200) {
			case 0:
				b.ForceOpen()
			case 1:
				b.ForceClose()
			case 2:
				b.ForceHalfOpen()
			case 3, 4, 5:
				b.Reset()
			case 6:
				b.Snapshot()
			case 7:
				b.Trip(time.Duration(rng.IntN(10_000)))
			default:
				o := []gate.Outcome{success, success, failure, outcomes["limited"]}[rng.IntN(4)]
				if !call(b, o) {
					refused.Add(1)
				}
			}
		}
	})
	s := b.Snapshot()
	got := refused.Load()
	if b.Shadow && (got > 0 || s.Rejected == 0) || !b.Shadow && got != s.Rejected {
		t.Errorf("%d calls rejected, and the snapshot has %d", got, s.Rejected)
	}
	if last.To != s.State && !(last.To == breaker.Open && s.State == breaker.HalfOpen) {
		t.Errorf("the last change was to %v, but the breaker is %v", last.To, s.State)
	}
	if reported < 100 {
		t.Errorf("%d changes reported, want at least 100", reported)
	}
	b.Reset()
	succeed(b, 10)
	if s := b.Snapshot(); s.State != breaker.Closed || s.Failures != 0 || s.Failed != 0 {
		t.Errorf("after a reset and successes: %+v", s)
	}
}

// TestGroupHammer forgets keys as fast as it can while others use them. The effect of a method must
// still hold when it returns.
func TestGroupHammer(t *testing.T) {
	g := &breaker.Group[string]{Idle: 1, Template: breaker.Breaker{Failures: 3, Rate: 0.9, Window: 10}}
	var stop atomic.Bool
	var sweepers sync.WaitGroup
	for i := range 2 {
		sweepers.Go(func() {
			for n := 0; !stop.Load(); n++ {
				fail(g.For("gone "+strconv.Itoa(i)+" "+strconv.Itoa(n%100)), 1)
				for range g.All() {
				}
			}
		})
	}
	together(4, func(i int) {
		k := g.For(strconv.Itoa(i))
		for n := range 3000 {
			k.ForceOpen()
			if got := k.State(); got != breaker.Open {
				t.Errorf("round %d: %v after ForceOpen", n, got)
				return
			}
			k.Trip(time.Hour)
			if got := k.State(); got != breaker.Open {
				t.Errorf("round %d: %v after Trip", n, got)
				return
			}
			k.Reset()
			p, err := k.Enter(context.Background())
			if err != nil {
				t.Errorf("round %d: rejected after Reset: %v", n, err)
				return
			}
			k.Leave(p, success)
			k.ForceHalfOpen()
			fail(k, 1)
			if got := k.State(); got != breaker.Open {
				t.Errorf("round %d: %v after a failed probe", n, got)
				return
			}
		}
	})
	stop.Store(true)
	sweepers.Wait()
}
