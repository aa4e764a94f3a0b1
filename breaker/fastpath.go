package breaker

import (
	"time"

	"github.com/rebound-go/rebound/gate"
)

// The word cell.quick collects the successes of the window's newest bucket without the lock:
//
//	63       armed
//	62 … 20  how often it was armed
//	19 …  0  successes
//
// It is armed only while another success in that bucket cannot open the breaker: a success lowers
// both rates, so it could do so only by making up MinCalls. Whoever takes the lock empties it into
// the window and arms it anew; so whoever can add to it knows that nothing has happened since it
// was loaded.
const (
	quickArmed = 1 << 63
	quickTurn  = 1 << 20
	quickMask  = quickTurn - 1
)

// hurry counts a fast success, if that can be done without the lock.
func (c *cell) hurry(cfg *Breaker, p gate.Pass) bool {
	now := clock()
	if cfg.SlowAfter != 0 && cfg.slow(p, now) {
		return false
	}
	for {
		q := c.quick.Load()
		if q&quickArmed == 0 || q&quickMask == quickMask {
			return false
		}
		into := now - time.Duration(c.win.Load().head.Load())
		if into < 0 || into >= cfg.width() || uint64(word(c.word.Load()).gen()) != p.A {
			return false
		}
		if c.quick.CompareAndSwap(q, q+1) {
			return true
		}
	}
}

// settle disarms quick, and moves its successes to the window and the window to now.
func (c *cell) settle(now time.Duration, cfg *Breaker) {
	w := c.win.Load()
	if w == nil {
		return
	}
	if q := c.quick.And(^uint64(quickArmed | quickMask)); q&quickMask > 0 {
		w.grow(uint32(q & quickMask))
	}
	w.age(now, cfg.width())
}

// rearm lets successes hurry again, if they may.
func (c *cell) rearm(cfg *Breaker, s Bare) {
	if s.win == nil || s.word.state() != Closed || s.word.failures() > 0 {
		return
	}
	t := s.win.totals()
	if t.failed == 0 && t.slow == 0 || t.calls >= uint64(cfg.minCalls()) {
		c.quick.Store((c.quick.Load() + quickTurn) | quickArmed)
	}
}
