package breaker

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/gate"
)

// These tests run outside of bubbles, where timers end the time of cheap rejections.

func failed(t *testing.T, g gate.Gate) {
	t.Helper()
	p, err := g.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g.Leave(p, gate.Outcome{})
}

// A breaker whose cooldown is over admits a probe at once, with a timer and without.
func TestCooldownOnTheRealClock(t *testing.T) {
	for name, cooldown := range map[string]time.Duration{
		"clock": 300 * time.Millisecond, "timer": minEarly + 100*time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &Breaker{Failures: 1, Cooldown: cooldown}
			// Before the failure: a loaded machine may stop the test between the two.
			begin := time.Now()
			failed(t, b)
			if got := b.state.log.Load().early.Load() != nil; got != (cooldown > minEarly) {
				t.Errorf("a timer: %v, want one above %v", got, minEarly)
			}
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				left := b.Snapshot().Remaining
				_, err := b.Enter(t.Context())
				switch took := time.Since(begin); {
				case err == nil && took < cooldown:
					t.Fatalf("admitted after %v, want %v", took, cooldown)
				case err == nil:
					return
				case left == 0:
					t.Fatalf("rejected %v after the failure, with no cooldown left: %v", took, err)
				}
			}
		})
	}
}

// A timer that is still running does not affect later cooldowns.
func TestTimersOfEarlierCooldowns(t *testing.T) {
	t.Parallel()
	g := &Group[int]{Template: Breaker{Failures: 1, Cooldown: minEarly}}
	early := func(key int) bool { return g.find(key).log.Load().early.Load() != nil }
	for key := range 500 {
		failed(t, g.For(key))
	}
	for key, again := range []func(Keyed[int]){
		func(k Keyed[int]) { k.Trip(time.Hour) },
		func(k Keyed[int]) { k.Reset(); k.Trip(time.Hour) },
		func(k Keyed[int]) { k.ForceOpen() },
		func(k Keyed[int]) { k.ForceClose(); k.ForceOpen() },
	} {
		again(g.For(key))
		if !early(key) {
			t.Errorf("key %d: rejections need the clock at once", key)
		}
	}
	g.For(4).Reset()
	g.For(5).ForceHalfOpen()
	<-time.After(minEarly)
	for key := range 500 {
		_, err := g.For(key).Enter(t.Context())
		if got, want := err == nil, key > 3; got != want || early(key) == want {
			t.Errorf("key %d: admitted %v, want %v: %v", key, got, want, err)
		}
	}
}

// A timer that never fires keeps a breaker open for a bounded number of calls.
func TestTimerThatNeverGoesOff(t *testing.T) {
	b := &Breaker{Failures: 1, Cooldown: 1}
	failed(t, b)
	l := b.state.log.Load()
	l.early.Store(l.refusal.Load())
	<-time.After(time.Millisecond)
	for n := 1; ; n++ {
		if _, err := b.Enter(t.Context()); err == nil {
			return
		}
		if n == askClock {
			t.Fatalf("still rejected after %d calls", n)
		}
	}
}

// A breaker opened in a bubble, whose time is the year 2000, is half-open outside, and in the next
// bubble it is open for the rest of its cooldown.
func TestOpenedInBubble(t *testing.T) {
	open := func(b *Breaker) {
		synctest.Test(t, func(t *testing.T) {
			failed(t, b)
			if b.state.log.Load().early.Load() != nil {
				t.Errorf("a timer runs in the bubble")
			}
		})
	}
	b := &Breaker{Failures: 1, Cooldown: time.Hour}
	open(b)
	if got := b.State(); got != HalfOpen {
		t.Errorf("outside: %v, want half-open", got)
	}
	failed(t, b)
	if got := b.state.log.Load().early.Load(); got == nil {
		t.Errorf("outside: opened without a timer")
	}

	b = &Breaker{Failures: 1, Cooldown: time.Hour}
	open(b)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour - 1)
		if _, err := b.Enter(t.Context()); err == nil {
			t.Errorf("the next bubble: admitted too early")
		}
		time.Sleep(time.Nanosecond)
		failed(t, b)
	})
}

// A breaker opened outside is open in a bubble, where any method may end that.
func TestOpenedOutsideOfBubble(t *testing.T) {
	b := &Breaker{Failures: 1, Cooldown: time.Hour}
	failed(t, b)
	synctest.Test(t, func(t *testing.T) {
		if _, err := b.Enter(t.Context()); err == nil || b.State() != Open {
			t.Errorf("admitted in state %v, want it open", b.State())
		}
		b.Reset()
		failed(t, b)
		time.Sleep(time.Hour)
		failed(t, b)
	})
}

// TestRejectEarlyHammer opens and closes while calls are rejected without the clock. Once a method
// has returned, no call gets the state before it.
func TestRejectEarlyHammer(t *testing.T) {
	b := &Breaker{Cooldown: time.Hour}
	var rejecting sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		rejecting.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if p, err := b.Enter(t.Context()); err == nil {
						b.Leave(p, gate.Outcome{Result: gate.OK})
					}
				}
			}
		})
	}
	for range 2000 {
		for _, open := range []func(){b.ForceOpen, func() { b.Trip(time.Hour) }} {
			open()
			if _, err := b.Enter(t.Context()); err == nil {
				t.Errorf("admitted after it opened")
			}
			b.Reset()
			if _, err := b.Enter(t.Context()); err != nil {
				t.Errorf("after a reset: %v", err)
			}
		}
	}
	close(done)
	rejecting.Wait()
}
