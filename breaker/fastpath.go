package breaker

import (
	"time"

	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/circuit"
	"github.com/rebound-go/rebound/internal/clock"
)

// A success of a windowed breaker took 61 ns with this way past the lock, and 88 without; TestModel
// and TestQuick hold it to the locked way.
//
// The word shared.quick collects the successes of the window's newest bucket without the lock:
//
//	63       armed
//	62 … 20  how often it was armed
//	19 …  0  successes
//
// It is armed only while another success in that bucket cannot open the breaker: a success lowers
// both rates, so it could do so only by making up MinCalls. A goroutine that takes the lock empties
// it into the window and arms it anew; so one that can add to it has the proof that nothing has
// happened since it was loaded.
const (
	quickArmed = 1 << 63
	quickTurn  = 1 << 20
	quickMask  = quickTurn - 1
)

// countFast counts a fast success, if that can be done without the lock.
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

// flush disarms quick, and moves its successes to the window and the window to now.
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

// rearm lets successes be counted without the lock again, if they may.
func (c *shared) rearm(cfg *circuit.Config, s circuit.Machine) {
	if s.Win == nil || s.Word.State() != circuit.Closed || s.Word.Failures() > 0 {
		return
	}
	t := s.Win.Totals()
	if t.Failed == 0 && t.Slow == 0 || t.Calls >= uint64(cfg.MinCalls) {
		c.quick.Store((c.quick.Load() + quickTurn) | quickArmed)
	}
}
