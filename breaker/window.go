package breaker

import (
	"sync/atomic"
	"time"
)

const buckets = 10

// window counts the calls of the last ten widths, the newest bucket first. Buckets are laid from
// the first call after a quiet time, not from a clock that runs anyway: the same calls give the
// same counts.
type window struct {
	head atomic.Int64 // when the newest bucket began; read by cell.hurry without the lock
	ring [buckets]bucket
	slow *[buckets]uint32 // nil if calls are not timed
}

type bucket struct{ calls, failed uint32 }

func newWindow(cfg *Breaker, now time.Duration) *window {
	w := new(window)
	w.head.Store(int64(now))
	if cfg.timed() {
		w.slow = new([buckets]uint32)
	}
	return w
}

// add counts a result in the bucket of now, or in the newest one if now lies before it.
func (w *window) add(now, width time.Duration, r result) {
	w.age(now, width)
	w.grow(1)
	if r.verdict == bad {
		w.ring[0].failed++
	}
	if r.slow && w.slow != nil {
		w.slow[0]++
	}
}

// grow adds n calls, less than 1<<31 of them, to the newest bucket. If that would overflow, it is
// halved first, which keeps its rates.
func (w *window) grow(n uint32) {
	b := &w.ring[0]
	if b.calls >= 1<<31 {
		b.calls, b.failed = b.calls/2, b.failed/2
		if w.slow != nil {
			w.slow[0] /= 2
		}
	}
	b.calls += n
}

// age moves the window on to now: what has become too old is forgotten.
func (w *window) age(now, width time.Duration) {
	head := time.Duration(w.head.Load())
	if now-head < width {
		return
	}
	n := (now - head) / width
	if n >= buckets {
		w.clear(now)
		return
	}
	w.head.Store(int64(head + n*width))
	copy(w.ring[n:], w.ring[:])
	clear(w.ring[:n])
	if w.slow != nil {
		copy(w.slow[n:], w.slow[:])
		clear(w.slow[:n])
	}
}

// clear forgets everything; the next bucket begins at now.
func (w *window) clear(now time.Duration) {
	w.head.Store(int64(now))
	w.ring = [buckets]bucket{}
	if w.slow != nil {
		*w.slow = [buckets]uint32{}
	}
}

// totals of a window.
type totals struct{ calls, failed, slow uint64 }

// rate is n's share of the calls. A quotient of two integers is rounded to the float that its
// decimal notation is read as, so that 7 of 100 do reach 0.07, as 0.07·100 would not.
func (t totals) rate(n uint64) float64 {
	if t.calls == 0 {
		return 0
	}
	return float64(n) / float64(t.calls)
}

func (w *window) totals() (t totals) {
	for _, b := range w.ring {
		t.calls += uint64(b.calls)
		t.failed += uint64(b.failed)
	}
	if w.slow != nil {
		for _, n := range w.slow {
			t.slow += uint64(n)
		}
	}
	return t
}
