package breaker

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/circuit"
	"github.com/rebound-go/rebound/internal/clock"
)

func (c *shared) state(cfg *circuit.Config) State {
	if cfg.Shadow {
		return Closed
	}
	now := clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.machine()
	return State(s.State(now))
}

// ask changes the state at the request of a method. It returns false if c is dead.
func (c *shared) ask(o owner, to func(s *circuit.Machine, now time.Duration)) bool {
	now := clock.Now()
	s, ok := c.begin(o, now)
	if ok {
		before := s.Word
		to(&s, now)
		c.change(o, before, s, Change{Why: circuit.WhyAsked})
	}
	return ok
}

// turn starts a new generation in state to.
func (c *shared) turn(o owner, to State) bool {
	return c.ask(o, func(s *circuit.Machine, now time.Duration) { s.Turn(circuit.State(to), now) })
}

// trip opens c for d.
func (c *shared) trip(o owner, d time.Duration) bool {
	return c.ask(o, func(s *circuit.Machine, now time.Duration) { s.Trip(now, d) })
}

// force is turn with a state that stays. It changes nothing if to is forced already.
func (c *shared) force(o owner, to State) bool {
	return c.ask(o, func(s *circuit.Machine, now time.Duration) {
		if !s.Word.Forced() || s.Word.State() != circuit.State(to) {
			s.Turn(circuit.State(to), now)
			s.Word |= circuit.ForcedBit
		}
	})
}

// foresee returns the rejection that will still apply after d, or nil.
func (c *shared) foresee(cfg *circuit.Config, d time.Duration) error {
	if circuit.Word(c.word.Load()).State() != circuit.Open || cfg.Shadow {
		return nil
	}
	e := c.refusal()
	if e == nil || e.State != Open || !e.Forced && e.Remaining() <= d {
		return nil
	}
	return e
}

func (c *shared) snapshot(o owner) Snapshot {
	v := Snapshot{Name: o.name(), Shadow: o.cfg.Shadow}
	now := clock.Now()
	s, ok := c.begin(o, now)
	if !ok {
		return v
	}
	var openedBy fault.Fault
	if l := c.log.Load(); l != nil {
		v.Since, v.Why, v.Opened, openedBy = l.last.At, l.last.Why, l.opened, l.openedBy
		v.Rejected = l.rejected.Load()
		v.RejectedNow = v.Rejected - l.rejectedBefore
	}
	v.fill(&s, now)
	c.commit(o, s.Word, s, Change{})
	v.OpenedBy = describe(openedBy) // outside the lock: it calls an Error method
	return v
}

// describe is a failure in one line, even if its error is a nil pointer whose method panics.
func describe(f fault.Fault) string {
	switch {
	case f.Err == nil:
		return f.Detail
	case f.Detail == "":
		return fmt.Sprint(f.Err)
	}
	return f.Detail + ": " + fmt.Sprint(f.Err)
}

// retire makes c dead and returns its generation, if nothing would be lost. Then c is closed and
// not forced, and was last used before the given time, or holds nothing.
func (c *shared) retire(cfg *circuit.Config, before time.Duration) (gen uint32, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := circuit.Word(c.word.Load())
	if w.State() != circuit.Closed || w.Forced() || w.Dead() {
		return 0, false
	}
	if c.win.Load() != nil {
		c.flush(clock.Now(), cfg)
	}
	if s := c.machine(); s.At >= before && !c.blank() {
		c.rearm(cfg, s)
		return 0, false
	}
	c.quick.Store(0)
	c.word.Store(uint64(w | circuit.DeadBit))
	return w.Gen(), true
}

// blank reports whether a new shared would be equivalent: there are no counts, and no pass could be
// stale.
func (c *shared) blank() bool {
	return c.win.Load() == nil && c.log.Load() == nil && circuit.Word(c.word.Load()).Failures() == 0
}
