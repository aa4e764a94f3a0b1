package circuit

import (
	"sync/atomic"
	"time"
)

// Buckets are the parts of a window.
const Buckets = 10

// Window counts the calls of the last ten widths, the newest bucket first. Buckets are laid from
// the first call after a quiet time, not from a clock that runs anyway: the same calls give the
// same counts. A window of so many calls has only one bucket, which its oldest call leaves when
// another one comes.
type Window struct {
	Head atomic.Int64 // when the newest bucket began; read by the lock-free way, too
	ring [Buckets]bucket
	more *more // nil if the window is a time and calls are not timed
}

type bucket struct{ calls, failed uint32 }

// more is what only some windows need.
type more struct {
	slow [Buckets]uint32
	last *last // nil if the window is a time
}

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

// lastCalls is nil if the window is a time.
func (w *Window) lastCalls() *last {
	if w.more == nil {
		return nil
	}
	return w.more.last
}

// add counts a result in the bucket of now, or in the newest one if now lies before it.
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

// push adds a call to a window of calls, in the place of the oldest one if it is full.
func (w *Window) push(l *last, m marks) {
	b, old := &w.ring[0], l.replace(m)
	b.calls = min(b.calls+1, uint32(l.size))
	b.failed += m.failed() - old.failed()
	w.more.slow[0] += m.slow() - old.slow()
}

// Grow adds n good and fast calls, less than 1<<31 of them, to the newest bucket. If that would
// overflow, it is halved first, which keeps its rates.
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

// Age moves the window on to now: what has become too old is forgotten. Calls of a window of calls
// do not age.
func (w *Window) Age(now, width time.Duration) {
	head := time.Duration(w.Head.Load())
	if w.lastCalls() != nil || now-head < width {
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
	if w.more != nil {
		copy(w.more.slow[n:], w.more.slow[:])
		clear(w.more.slow[:n])
	}
}

// clear forgets everything; the next bucket begins at now.
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

// Totals of a window.
type Totals struct{ Calls, Failed, Slow uint64 }

// Rate is n's share of the calls.
func (t Totals) Rate(n uint64) float64 { return share(n, t.Calls) }

// share is n/of. A quotient of two integers is rounded to the float that its decimal notation is
// read as, so that 7 of 100 do reach 0.07, as 0.07·100 would not.
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
