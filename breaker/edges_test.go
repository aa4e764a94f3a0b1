package breaker_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// Once ForceOpen has returned, no call is admitted, even if another goroutine made the key's
// breaker.
func TestForceOpenHoldsAtOnce(t *testing.T) {
	const workers = 4
	for range 20_000 {
		var g breaker.Group[int]
		var start, done sync.WaitGroup
		start.Add(1)
		admitted := make([]bool, workers)
		for i := range workers {
			done.Go(func() {
				start.Wait()
				g.For(1).ForceOpen()
				_, err := g.For(1).Enter(context.Background())
				admitted[i] = err == nil
			})
		}
		start.Done()
		done.Wait()
		for _, hole := range admitted {
			if hole {
				t.Fatal("a call was admitted after ForceOpen had returned")
			}
		}
	}
}

// A Counts that panics does not leave a probe under way: the call has failed.
func TestPanickingCountsEndsTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := false
		template := func() breaker.Breaker {
			return breaker.Breaker{Failures: 1, Cooldown: time.Second, Counts: func(fault.Fault) bool {
				if panics {
					panic("counts")
				}
				return true
			}}
		}
		b := template()
		g := &breaker.Group[string]{Template: template()}
		for name, b := range map[string]interface {
			guard
			Snapshot() breaker.Snapshot
		}{"breaker": &b, "key": g.For("a")} {
			panics = false
			call(b, failure)
			time.Sleep(time.Second)
			panics = true
			func() {
				defer func() { _ = recover() }()
				call(b, failure)
				t.Errorf("%s: Counts did not panic", name)
			}()
			if s := b.Snapshot(); s.State != breaker.Open || s.Opened != 2 {
				t.Errorf("%s: got %+v, want it open again", name, s)
			}
		}
	})
}

// An OnChange that panics on the way to half-open does not take the probe with it.
func TestPanickingOnChangeKeepsTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := true
		template := breaker.Breaker{
			Failures: 1, Cooldown: time.Second,
			OnChange: func(c breaker.Change) {
				if c.To == breaker.HalfOpen && panics {
					panics = false
					panic("listener")
				}
			},
		}
		b := &breaker.Breaker{Failures: 1, Cooldown: time.Second, OnChange: template.OnChange}
		g := &breaker.Group[string]{Template: breaker.Breaker{
			Failures: 1, Cooldown: time.Second, OnChange: template.OnChange,
		}}
		for name, b := range map[string]interface {
			guard
			Snapshot() breaker.Snapshot
		}{"breaker": b, "key": g.For("a")} {
			panics = true
			call(b, failure)
			time.Sleep(time.Second)
			func() {
				defer func() { _ = recover() }()
				call(b, success)
				t.Errorf("%s: OnChange did not panic", name)
			}()
			if s := b.Snapshot(); s.State != breaker.HalfOpen || s.Probing != 0 {
				t.Errorf("%s: got %v with %d probes, want half-open and none", name, s.State, s.Probing)
			}
			if !call(b, success) || b.Snapshot().State != breaker.Closed {
				t.Errorf("%s: the next probe was rejected, or has not closed it", name)
			}
		}
	})
}

// A healthy key takes no memory, and a failure is forgotten after a success.
func TestHealthyKeysAreForgotten(t *testing.T) {
	var g breaker.Group[int]
	for k := range 100 {
		call(g.For(k), success)
		call(g.For(k), failure)
		call(g.For(k), success)
	}
	for k, s := range g.All() {
		t.Fatalf("key %d is remembered: %+v", k, s)
	}
}

// With a window, a used key is kept for Idle, even if its successes take no lock.
func TestUsedKeysAreRemembered(t *testing.T) {
	t.Run("window", func(t *testing.T) {
		testUsedKeysAreRemembered(t, &breaker.Group[string]{Idle: time.Minute,
			Template: breaker.Breaker{Rate: 0.5, Window: 10 * time.Second}})
	})
	t.Run("window of calls", func(t *testing.T) {
		testUsedKeysAreRemembered(t, &breaker.Group[string]{Idle: time.Minute,
			Template: breaker.Breaker{Rate: 0.5, WindowCalls: 20}})
	})
}

func testUsedKeysAreRemembered(t *testing.T, g *breaker.Group[string]) {
	synctest.Test(t, func(t *testing.T) {
		remembered := func() (n int) {
			for range g.All() {
				n++
			}
			return n
		}
		for range 7 {
			call(g.For("a"), success)
			time.Sleep(9 * time.Second)
		}
		if remembered() != 1 {
			t.Error("a key used 9 s ago is forgotten")
		}
		time.Sleep(50 * time.Second)
		if remembered() != 1 {
			t.Error("a key used 59 s ago is forgotten")
		}
		time.Sleep(20 * time.Second)
		if remembered() != 0 {
			t.Error("a key used 79 s ago is remembered")
		}
	})
}

// Rule 10: what each result does to a breaker with one failure in a row.
func TestWhatCounts(t *testing.T) {
	const counts, clears, neither = 2, 0, 1 // failures in a row afterwards
	for kind, want := range map[fault.Kind]int{
		fault.Unknown: counts, fault.Transient: counts, fault.Overloaded: counts,
		fault.None: clears, fault.Permanent: clears,
		fault.RateLimited: neither, fault.Canceled: neither,
	} {
		for _, sent := range []fault.Sent{fault.MaybeDone, fault.NotSent, fault.NotDone} {
			if kind == fault.Permanent && sent == fault.NotSent {
				want = neither // nothing was sent to the server
			}
			for result, want := range map[gate.Result]int{
				gate.Failed: want, gate.OK: clears, gate.Skipped: neither,
			} {
				b := &breaker.Breaker{Failures: 3}
				fail(b, 1)
				call(b, gate.Outcome{Result: result,
					Fault: fault.Fault{Kind: kind, Sent: sent, Err: errDown}})
				if got := b.Snapshot().Failures; got != want {
					t.Errorf("result %d, %v, %v: %d failures in a row, want %d",
						result, kind, sent, got, want)
				}
			}
			if kind == fault.Permanent {
				want = clears
			}
		}
	}
	b := &breaker.Breaker{Failures: 3}
	fail(b, 1)
	call(b, gate.Outcome{}) // a panic
	if got := b.Snapshot().Failures; got != 2 {
		t.Errorf("after a panic: %d failures in a row, want 2", got)
	}
}

// A breaker is half-open as soon as its cooldown is over, and its snapshot is consistent.
func TestSnapshotHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker.Breaker{Failures: 1, Cooldown: time.Minute, Probes: 2}
		call(b, failure)
		time.Sleep(90 * time.Second)
		over := time.Now().Add(-30 * time.Second)
		s := b.Snapshot()
		if s.State != breaker.HalfOpen || s.Why != "cooldown over" || !s.Since.Equal(over) ||
			s.Remaining != 0 || s.Probing != 0 || s.Opened != 1 {
			t.Errorf("before the first probe: %+v", s)
		}
		if _, err := b.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		s = b.Snapshot()
		if s.State != breaker.HalfOpen || s.Why != "cooldown over" || s.Probing != 1 ||
			!s.Since.Equal(time.Now()) {
			t.Errorf("with a probe under way: %+v", s)
		}
	})
}

// Only sweeps forget a key whose successes take no lock and record no time.
func TestKeysOfCallWindowsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &breaker.Group[string]{
			Template: breaker.Breaker{Rate: 0.5, WindowCalls: 20}, Idle: time.Minute,
		}
		succeed(g.For("a"), 5)
		for i := range 4 {
			time.Sleep(time.Minute)
			succeed(g.For("new "+strconv.Itoa(i)), 1)
		}
		if got := g.For("a").Snapshot().Calls; got != 0 {
			t.Errorf("a key unused for 4 minutes holds %d calls", got)
		}
	})
}

// RejectedNow restarts at every opening, and Rejected never does. A closed breaker keeps both.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker.Breaker{Failures: 1, Cooldown: time.Second}
		expect := func(when string, all, now uint64) {
			t.Helper()
			if s := b.Snapshot(); s.Rejected != all || s.RejectedNow != now {
				t.Errorf("%s: %d rejected, %d now, want %d and %d", when, s.Rejected, s.RejectedNow, all, now)
			}
		}
		expect("new", 0, 0)
		fail(b, 4)
		expect("open", 3, 3)
		time.Sleep(time.Second)
		if _, err := b.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		fail(b, 2)
		expect("half-open", 5, 5)
		b.Trip(time.Minute)
		expect("open again", 5, 0)
		fail(b, 1)
		b.Trip(time.Hour)
		expect("open for longer", 6, 1)
		b.Reset()
		succeed(b, 3)
		expect("closed", 6, 1)
		b.ForceOpen()
		fail(b, 2)
		expect("forced", 8, 2)
	})
}

// A shadow foresees no rejection, and its changes and snapshots show that it is a shadow.
func TestShadow(t *testing.T) {
	for name, form := range map[string]func(*breaker.Breaker) controls{
		"breaker": func(b *breaker.Breaker) controls { return b },
		"key":     func(b *breaker.Breaker) controls { return keyOf(b) },
	} {
		var changes []breaker.Change
		b := form(&breaker.Breaker{Failures: 2, Shadow: true, OnChange: func(c breaker.Change) {
			changes = append(changes, c)
		}})
		fail(b, 5)
		if err := b.Refusal(0); err != nil {
			t.Errorf("%s: foresees %v", name, err)
		}
		s := b.Snapshot()
		if s.State != breaker.Open || !s.Shadow || s.Rejected != 3 || s.Failures != 2 {
			t.Errorf("%s: got %+v, want it open after 2 failures, and 3 calls rejected", name, s)
		}
		if len(changes) != 1 || changes[0].To != breaker.Open || !changes[0].Shadow {
			t.Errorf("%s: got changes %+v, want one of a shadow that opens", name, changes)
		}
	}
}
