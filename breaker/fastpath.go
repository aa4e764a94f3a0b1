package breaker

import (
	"time"

	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/circuit"
	"github.com/rebound-go/rebound/internal/clock"
)

// A success of a windowed breaker takes 61 ns on this path and 88 ns through the lock. TestModel
// and TestQuick compare the two.
//
// The word shared.quick collects the successes of the window's newest bucket without the lock:
//
//	63       armed
//	62 … 20  how often it was armed
//	19 …  0  successes
//
// It is armed only while another success in that bucket cannot open the breaker. A success lowers
// both rates, so it could open the breaker only by completing MinCalls. A goroutine that takes the
// lock moves the successes to the window and arms the word anew. So a goroutine whose
// compare-and-swap succeeds has the proof that nothing else has happened since it loaded the word.
const (
	quickArmed = 1 << 63
	quickTurn  = 1 << 20
	quickMask  = quickTurn - 1
)

// countFast counts a success that was not slow, if that can be done without the lock.
func (c *shared) countFast(cfg *circuit.Config, p gate.Pass) bool {
	var now time.Duration
	if cfg.Calls == 0 || cfg.Timed() {
		now = clock.Now()
	}
	if cfg.SlowAfter != 0 && cfg.Slow(p, now) {
		return false
	}
	for {
		q := c.quick.Load()
		if q&quickArmed == 0 || q&quickMask == quickMask {
			return false
		}
		if cfg.Calls == 0 {
			into := now - time.Duration(c.win.Load().Head.Load())
			if into < 0 || into >= cfg.Width {
				return false
			}
		}
		if uint64(circuit.Word(c.word.Load()).Gen()) != p.A {
			return false
		}
		if c.quick.CompareAndSwap(q, q+1) {
			return true
		}
	}
}

// flush disarms quick, moves its successes to the window, and advances the window to now. The
// caller holds c.mu.
func (c *shared) flush(now time.Duration, cfg *circuit.Config) {
	w := c.win.Load()
	if w == nil {
		return
	}
	if q := c.quick.And(^uint64(quickArmed | quickMask)); q&quickMask > 0 {
		w.Grow(uint32(q & quickMask))
		last := now // if their time was not taken
		if cfg.Calls == 0 {
			last = time.Duration(w.Head.Load()) + cfg.Width // about
		}
		c.at = max(c.at, last)
	}
	w.Age(now, cfg.Width)
}

// rearm allows successes to be counted without the lock again, if that is safe. The caller holds
// c.mu.
func (c *shared) rearm(cfg *circuit.Config, s circuit.Machine) {
	if s.Win == nil || s.Word.State() != circuit.Closed || s.Word.Failures() > 0 {
		return
	}
	t := s.Win.Totals()
	if t.Failed == 0 && t.Slow == 0 || t.Calls >= uint64(cfg.MinCalls) {
		c.quick.Store((c.quick.Load() + quickTurn) | quickArmed)
	}
}
