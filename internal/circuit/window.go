package circuit

import (
	"sync/atomic"
	"time"
)

// Buckets are the parts of a window.
const Buckets = 10

// Window counts the calls of the last ten widths, the newest bucket first. Buckets start at the
// first call after a quiet time, not at fixed times of the clock. So the same calls always give the
// same counts. A window of calls has only one bucket, in which a new call replaces the oldest one.
type Window struct {
	Head atomic.Int64 // when the newest bucket began; also read without the lock
	ring [Buckets]bucket
	more *more // nil if the window is a time and calls are not timed
}

type bucket struct{ calls, failed uint32 }

// more is what only some windows need. It is separate to keep the usual window small.
type more struct {
	slow [Buckets]uint32
	last *last // nil if the window is a time
}

// newWindow returns a window whose first bucket begins at now, with only the parts that cfg needs.
func newWindow(cfg *Config, now time.Duration) *Window {
	w := new(Window)
	w.Head.Store(int64(now))
	if cfg.Timed() || cfg.Calls > 0 {
		w.more = new(more)
	}
	if cfg.Calls > 0 {
		w.more.last = newLast(int(cfg.Calls))
	}
	return w
}

// lastCalls returns the marks of a window of calls, or nil if the window is a time.
func (w *Window) lastCalls() *last {
	if w.more == nil {
		return nil
	}
	return w.more.last
}

// add counts a result in the bucket of now, or in the newest one if now is before it.
func (w *Window) add(now time.Duration, cfg *Config, r Result) {
	if l := w.lastCalls(); l != nil {
		w.push(l, marksOf(r))
		return
	}
	w.Age(now, cfg.Width)
	w.Grow(1)
	if r.Verdict == Bad {
		w.ring[0].failed++
	}
	if r.Slow && w.more != nil {
		w.more.slow[0]++
	}
}

// push adds a call to a window of calls. If the window is full, the call replaces the oldest one.
func (w *Window) push(l *last, m marks) {
	b, old := &w.ring[0], l.replace(m)
	b.calls = min(b.calls+1, uint32(l.size))
	b.failed += m.failed() - old.failed()
	w.more.slow[0] += m.slow() - old.slow()
}

// Grow adds n good and fast calls, fewer than 1<<31, to the newest bucket. If the count would
// overflow, the bucket is halved first, which keeps its rates.
func (w *Window) Grow(n uint32) {
	if l := w.lastCalls(); l != nil {
		for range min(n, uint32(l.size)) {
			w.push(l, 0)
		}
		return
	}
	b := &w.ring[0]
	if b.calls >= 1<<31 {
		b.calls, b.failed = b.calls/2, b.failed/2
		if w.more != nil {
			w.more.slow[0] /= 2
		}
	}
	b.calls += n
}

// Age advances the window to now and drops what is too old. A window of calls does not age.
func (w *Window) Age(now, width time.Duration) {
	head := time.Duration(w.Head.Load())
	if w.lastCalls() != nil || now-head < width {
		return
	}
	n := (now - head) / width
	// Everything in the window is too old.
	if n >= Buckets {
		w.clear(now)
		return
	}
	w.Head.Store(int64(head + n*width))
	// Buckets move as a whole, which is rare: at most ten times in a window.
	copy(w.ring[n:], w.ring[:])
	clear(w.ring[:n])
	if w.more != nil {
		copy(w.more.slow[n:], w.more.slow[:])
		clear(w.more.slow[:n])
	}
}

// clear drops everything. The next bucket begins at now.
func (w *Window) clear(now time.Duration) {
	w.Head.Store(int64(now))
	w.ring = [Buckets]bucket{}
	if w.more == nil {
		return
	}
	w.more.slow = [Buckets]uint32{}
	if w.more.last != nil {
		w.more.last.clear()
	}
}

// Totals are the counts of a whole window.
type Totals struct{ Calls, Failed, Slow uint64 }

// Rate is n's share of the calls.
func (t Totals) Rate(n uint64) float64 { return share(n, t.Calls) }

// share is n/of. The quotient of two integers is rounded to the float that its decimal notation
// denotes, so 7 of 100 do reach 0.07. A comparison with 0.07·100 would fail.
func share(n, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// Totals adds the buckets up.
func (w *Window) Totals() (t Totals) {
	for _, b := range w.ring {
		t.Calls += uint64(b.calls)
		t.Failed += uint64(b.failed)
	}
	if w.more != nil {
		for _, n := range w.more.slow {
			t.Slow += uint64(n)
		}
	}
	return t
}
