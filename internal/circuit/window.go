package circuit

import (
	"sync/atomic"
	"time"
)

// Buckets are the parts of a window.
const Buckets = 10

// Window counts the calls of the last ten widths, the newest bucket first. Buckets are laid from
// the first call after a quiet time, not from a clock that runs anyway: the same calls give the
// same counts.
type Window struct {
	Head atomic.Int64 // when the newest bucket began; read by the lock-free way, too
	ring [Buckets]bucket
	slow *[Buckets]uint32 // nil if calls are not timed
}

type bucket struct{ calls, failed uint32 }

func newWindow(cfg *Config, now time.Duration) *Window {
	w := new(Window)
	w.Head.Store(int64(now))
	if cfg.Timed() {
		w.slow = new([Buckets]uint32)
	}
	return w
}

// add counts a result in the bucket of now, or in the newest one if now lies before it.
func (w *Window) add(now, width time.Duration, r Result) {
	w.Age(now, width)
	w.Grow(1)
	if r.Verdict == Bad {
		w.ring[0].failed++
	}
	if r.Slow && w.slow != nil {
		w.slow[0]++
	}
}

// Grow adds n calls, less than 1<<31 of them, to the newest bucket. If that would overflow, it is
// halved first, which keeps its rates.
func (w *Window) Grow(n uint32) {
	b := &w.ring[0]
	if b.calls >= 1<<31 {
		b.calls, b.failed = b.calls/2, b.failed/2
		if w.slow != nil {
			w.slow[0] /= 2
		}
	}
	b.calls += n
}

// Age moves the window on to now: what has become too old is forgotten.
func (w *Window) Age(now, width time.Duration) {
	head := time.Duration(w.Head.Load())
	if now-head < width {
		return
	}
	n := (now - head) / width
	if n >= Buckets {
		w.clear(now)
		return
	}
	w.Head.Store(int64(head + n*width))
	copy(w.ring[n:], w.ring[:])
	clear(w.ring[:n])
	if w.slow != nil {
		copy(w.slow[n:], w.slow[:])
		clear(w.slow[:n])
	}
}

// clear forgets everything; the next bucket begins at now.
func (w *Window) clear(now time.Duration) {
	w.Head.Store(int64(now))
	w.ring = [Buckets]bucket{}
	if w.slow != nil {
		*w.slow = [Buckets]uint32{}
	}
}

// Totals of a window.
type Totals struct{ Calls, Failed, Slow uint64 }

// Rate is n's share of the calls. A quotient of two integers is rounded to the float that its
// decimal notation is read as, so that 7 of 100 do reach 0.07, as 0.07·100 would not.
func (t Totals) Rate(n uint64) float64 {
	if t.Calls == 0 {
		return 0
	}
	return float64(n) / float64(t.Calls)
}

// Totals adds the buckets up.
func (w *Window) Totals() (t Totals) {
	for _, b := range w.ring {
		t.Calls += uint64(b.calls)
		t.Failed += uint64(b.failed)
	}
	if w.slow != nil {
		for _, n := range w.slow {
			t.Slow += uint64(n)
		}
	}
	return t
}
