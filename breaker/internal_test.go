package breaker

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/circuit"
	"github.com/rebound-go/rebound/internal/clock"
)

// TestSizes: a breaker takes no more memory than is promised.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64-bit machines")
	}
	for name, got := range map[string][2]uintptr{
		"Breaker": {unsafe.Sizeof(Breaker{}), 184},
		"shared":  {unsafe.Sizeof(shared{}), 48},
		"Machine": {unsafe.Sizeof(circuit.Machine{}), 32},
		"Config":  {unsafe.Sizeof(circuit.Config{}), 80},
		"Window":  {unsafe.Sizeof(circuit.Window{}), 96},
	} {
		if got[0] > got[1] {
			t.Errorf("%s takes %d bytes, want at most %d", name, got[0], got[1])
		}
	}
}

// TestQuick checks that successes avoid the lock, and are still counted, even when the word that
// collects them is full.
func TestQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{Rate: 0.5, MinCalls: 4}
		ok := gate.Outcome{Result: gate.OK}
		b.Leave(gate.Pass{}, ok)
		if q := b.state.quick.Load(); q&quickArmed == 0 {
			t.Fatalf("quick is %#x after a success, want it armed", q)
		}
		b.Leave(gate.Pass{}, ok)
		if q := b.state.quick.Load(); q&quickMask != 1 {
			t.Errorf("quick is %#x after another success, want one collected", q)
		}
		b.state.quick.Add(quickMask - 1)
		b.Leave(gate.Pass{}, ok)
		if got := b.Snapshot().Calls; got != quickMask+2 {
			t.Errorf("got %d calls, want %d", got, quickMask+2)
		}
		head := b.state.win.Load().Head.Load()
		time.Sleep(time.Second)
		b.Leave(gate.Pass{}, ok)
		if got := b.state.win.Load().Head.Load() - head; got != int64(time.Second) {
			t.Errorf("the newest bucket began %v later, want 1s", time.Duration(got))
		}
		if got := b.Snapshot().Calls; got != quickMask+3 {
			t.Errorf("got %d calls, want %d", got, quickMask+3)
		}
	})
}

// TestQuickWaits checks that a success that could make up MinCalls takes the lock.
func TestQuickWaits(t *testing.T) {
	b := &Breaker{Rate: 0.5, MinCalls: 3}
	ok := gate.Outcome{Result: gate.OK}
	b.Leave(gate.Pass{}, ok)
	b.Leave(gate.Pass{}, gate.Outcome{})
	if q := b.state.quick.Load(); q&quickArmed != 0 {
		t.Errorf("quick is %#x with one failure of two calls, want it disarmed", q)
	}
	b.Leave(gate.Pass{}, ok)
	if q := b.state.quick.Load(); q&quickArmed == 0 {
		t.Errorf("quick is %#x with one failure of MinCalls calls, want it armed", q)
	}
	b.ForceOpen()
	if q := b.state.quick.Load(); q&quickArmed != 0 {
		t.Errorf("quick is %#x in an open breaker, want it disarmed", q)
	}
}

// TestQuickAfterSweep checks that successes still avoid the lock after a sweep for idle keys.
func TestQuickAfterSweep(t *testing.T) {
	g := &Group[string]{Template: Breaker{Rate: 0.5}}
	k, ok := g.For("a"), gate.Outcome{Result: gate.OK}
	k.Leave(gate.Pass{}, ok)
	k.Leave(gate.Pass{}, ok)
	g.sweep(clock.Now())
	if q := g.find("a").quick.Load(); q&quickArmed == 0 || q&quickMask != 0 {
		t.Errorf("quick is %#x after a sweep, want it armed and empty", q)
	}
	if got := k.Snapshot().Calls; got != 2 {
		t.Errorf("got %d calls, want 2", got)
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

// TestDead uses breakers that are dead but still in the map, as happens when a key is forgotten
// while it is used.
func TestDead(t *testing.T) {
	g := &Group[string]{Template: Breaker{Failures: 3}}
	k := g.For("a")
	die := func() *shared {
		k.Leave(gate.Pass{}, gate.Outcome{})
		c := g.find("a")
		if _, ok := c.retire(g.Template.config(), math.MaxInt64); !ok {
			t.Fatal("a closed breaker did not retire")
		}
		return c
	}
	c := die()
	if _, ok := c.retire(g.Template.config(), math.MaxInt64); ok {
		t.Errorf("a dead breaker retired again")
	}
	if got, want := k.Snapshot(), (Snapshot{Name: "a"}); got != want {
		t.Errorf("got snapshot %+v, want %+v", got, want)
	}
	if _, err := c.enterLocked(k.owner(k.config()), clock.Now()); err != nil {
		t.Errorf("rejected: %v", err)
	}
	p, err := k.Enter(t.Context())
	if err != nil {
		t.Errorf("rejected: %v", err)
	}
	k.Leave(p, gate.Outcome{})
	if got := k.Snapshot().Failures; got != 1 || g.find("a") == c {
		t.Errorf("got %d failures, want 1, in a new one", got)
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
		t.Errorf("the group holds %d breakers, want 1", got)
	}
}
