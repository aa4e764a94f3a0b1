package circuit

import (
	"math"
	"testing"
	"time"
)

func TestGenerationsWrap(t *testing.T) {
	old := Word(0).Numbered(math.MaxUint32)
	now := old.next(Open)
	if now.Gen() != 0 || !now.Stale(math.MaxUint32) || old.Stale(0) || now.Stale(0) {
		t.Errorf("after %#x comes %#x: stale %v %v %v, want true false false", old, now,
			now.Stale(math.MaxUint32), old.Stale(0), now.Stale(0))
	}
	if now.State() != Open {
		t.Errorf("got state %v, want open", now.State())
	}
}

// TestWordsSaturate: a count does not overflow into its neighbour.
func TestWordsSaturate(t *testing.T) {
	w := Word(streakMask)
	if got := w.failed(); got != w {
		t.Errorf("one more than %d failures: %#x, want %#x", w.Failures(), got, w)
	}
	w = Word(0).next(HalfOpen)
	for range 100 {
		w = w.gaveUp()
	}
	if got := w.expired(); got != expiredMask || w.State() != HalfOpen || w.Gen() != 101 {
		t.Errorf("probes given up 100 times: %d in %#x, want %d", got, w, expiredMask)
	}
	if got := w.Ended(); got != w {
		t.Errorf("no probe ended: %#x, want %#x", got, w)
	}
}

func TestBucketsHalve(t *testing.T) {
	w := &Window{more: new(more)}
	w.ring[0] = bucket{1 << 31, 1 << 30}
	w.more.slow[0] = 1 << 29
	w.Grow(1<<31 - 1)
	want := Totals{1<<30 + 1<<31 - 1, 1 << 29, 1 << 28}
	if got := w.Totals(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// However often a breaker opens again, its cooldown does not restart.
func TestManyCooldowns(t *testing.T) {
	cfg := &Config{Failures: 1, Probes: 1, Cooldown: time.Second, MaxCooldown: math.MaxInt64}
	var s Machine
	for n := range 300 {
		s.Word = s.Word.next(HalfOpen)
		s.Record(cfg, 0, Result{Pass: cfg.Pass(s.Word, 0), Verdict: Bad})
		want := time.Duration(math.MaxInt64)
		if n < 34 {
			want = time.Second << n
		}
		if got := s.Remaining(0); got != want {
			t.Fatalf("opened %d times: a cooldown of %v, want %v", n+1, got, want)
		}
	}
}

func TestLease(t *testing.T) {
	b := &Config{Cooldown: 3 * time.Second}
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
