package breaker

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/rebound-go/rebound/gate"
)

// TestSizes keeps the memory that a breaker takes to what is promised.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64-bit machines")
	}
	for name, got := range map[string][2]uintptr{
		"Breaker": {unsafe.Sizeof(Breaker{}), 160},
		"cell":    {unsafe.Sizeof(cell{}), 48},
		"Bare":    {unsafe.Sizeof(Bare{}), 24},
		"window":  {unsafe.Sizeof(window{}), 96},
	} {
		if got[0] > got[1] {
			t.Errorf("%s takes %d bytes, want at most %d", name, got[0], got[1])
		}
	}
}

// TestQuick checks that successes do go past the lock, and are counted all the same, when the word
// that collects them is full, too.
func TestQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{Rate: 0.5, MinCalls: 4}
		ok := gate.Outcome{Result: gate.OK}
		b.Leave(gate.Pass{}, ok)
		if q := b.cell.quick.Load(); q&quickArmed == 0 {
			t.Fatalf("quick is %#x after a success, want it armed", q)
		}
		b.Leave(gate.Pass{}, ok)
		if q := b.cell.quick.Load(); q&quickMask != 1 {
			t.Errorf("quick is %#x after another success, want one collected", q)
		}
		b.cell.quick.Add(quickMask - 1)
		b.Leave(gate.Pass{}, ok)
		if got := b.Snapshot().Calls; got != quickMask+2 {
			t.Errorf("got %d calls, want %d", got, quickMask+2)
		}
		time.Sleep(time.Second)
		b.Leave(gate.Pass{}, ok)
		if got := b.cell.win.Load().ring[0].calls; got != 1 {
			t.Errorf("got %d calls in the second bucket, want 1", got)
		}
	})
}

// TestQuickWaits checks that a success that could make up MinCalls takes the lock.
func TestQuickWaits(t *testing.T) {
	b := &Breaker{Rate: 0.5, MinCalls: 3}
	ok := gate.Outcome{Result: gate.OK}
	b.Leave(gate.Pass{}, ok)
	b.Leave(gate.Pass{}, gate.Outcome{})
	if q := b.cell.quick.Load(); q&quickArmed != 0 {
		t.Errorf("quick is %#x with one failure of two calls, want it disarmed", q)
	}
	b.Leave(gate.Pass{}, ok)
	if q := b.cell.quick.Load(); q&quickArmed == 0 {
		t.Errorf("quick is %#x with one failure of MinCalls calls, want it armed", q)
	}
	b.ForceOpen()
	if q := b.cell.quick.Load(); q&quickArmed != 0 {
		t.Errorf("quick is %#x in an open breaker, want it disarmed", q)
	}
}

// TestQuickOvertaken ends a call whose pass is of an earlier generation.
func TestQuickOvertaken(t *testing.T) {
	b := &Breaker{Rate: 0.5}
	ok := gate.Outcome{Result: gate.OK}
	p, _ := b.Enter(t.Context())
	b.Reset()
	q, _ := b.Enter(t.Context())
	b.Leave(q, ok)
	b.Leave(p, ok)
	b.Leave(q, ok)
	if got := b.Snapshot().Calls; got != 2 {
		t.Errorf("got %d calls, want the 2 of this generation", got)
	}
}

func TestGenerationsWrap(t *testing.T) {
	old := word(0).numbered(math.MaxUint32)
	now := old.next(Open)
	if now.gen() != 0 || !now.stale(math.MaxUint32) || old.stale(0) || now.stale(0) {
		t.Errorf("after %#x comes %#x: stale %v %v %v, want true false false", old, now,
			now.stale(math.MaxUint32), old.stale(0), now.stale(0))
	}
	if now.state() != Open {
		t.Errorf("got state %v, want open", now.state())
	}
}

// TestWordsSaturate keeps counts from running over into their neighbours.
func TestWordsSaturate(t *testing.T) {
	w := word(streakMask)
	if got := w.failed(); got != w {
		t.Errorf("one more than %d failures: %#x, want %#x", w.failures(), got, w)
	}
	w = word(0).next(HalfOpen)
	for range 100 {
		w = w.gaveUp()
	}
	if got := w.expired(); got != expiredMask || w.state() != HalfOpen || w.gen() != 101 {
		t.Errorf("probes given up 100 times: %d in %#x, want %d", got, w, expiredMask)
	}
	if got := w.ended(); got != w {
		t.Errorf("no probe ended: %#x, want %#x", got, w)
	}
}

func TestBucketsHalve(t *testing.T) {
	w := &window{slow: new([buckets]uint32)}
	w.ring[0] = bucket{1 << 31, 1 << 30}
	w.slow[0] = 1 << 29
	w.grow(1<<31 - 1)
	want := totals{1<<30 + 1<<31 - 1, 1 << 29, 1 << 28}
	if got := w.totals(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLease(t *testing.T) {
	b := &Breaker{Cooldown: 3 * time.Second}
	for n, want := range map[int]time.Duration{0: 3 * time.Second, 1: 6 * time.Second,
		2: 12 * time.Second} {
		if got := b.lease(n); got != want {
			t.Errorf("lease after giving up %d times: %v, want %v", n, got, want)
		}
	}
	b.Cooldown = math.MaxInt64 / 3
	if got := b.lease(2); got != math.MaxInt64 {
		t.Errorf("got a lease of %v, want it to saturate", got)
	}
}

// TestDeadCells meets cells between their death and their leaving the map, as happens when a key
// is forgotten while it is used.
func TestDeadCells(t *testing.T) {
	g := &Group[string]{Template: Breaker{Failures: 3}}
	k := g.For("a")
	die := func() *cell {
		k.Leave(gate.Pass{}, gate.Outcome{})
		c := g.find("a")
		if _, ok := c.retire(&g.Template, math.MaxInt64); !ok {
			t.Fatal("a closed cell did not retire")
		}
		return c
	}
	c := die()
	if _, ok := c.retire(&g.Template, math.MaxInt64); ok {
		t.Errorf("a dead cell retired again")
	}
	if got, want := k.Snapshot(), (Snapshot{Name: "a"}); got != want {
		t.Errorf("got snapshot %+v, want %+v", got, want)
	}
	if _, err := c.enterLocked(k.owner(), clock()); err != nil {
		t.Errorf("refused: %v", err)
	}
	p, err := k.Enter(t.Context())
	if err != nil {
		t.Errorf("refused: %v", err)
	}
	k.Leave(p, gate.Outcome{})
	if got := k.Snapshot().Failures; got != 1 || g.find("a") == c {
		t.Errorf("got %d failures, want 1, in a new cell", got)
	}
	die()
	k.ForceOpen()
	if got := k.State(); got != Open {
		t.Errorf("got %v after ForceOpen, want open", got)
	}
	k.Reset()
	die()
	k.ForceHalfOpen()
	if got := k.State(); got != HalfOpen {
		t.Errorf("got %v after HalfOpen, want half-open", got)
	}
	if got := g.live.Load(); got != 1 {
		t.Errorf("the group holds %d cells, want 1", got)
	}
}
