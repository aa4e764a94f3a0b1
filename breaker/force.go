package breaker

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/circuit"
)

func (c *shared) state() State {
	now := clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.machine()
	return State(s.State(now))
}

// turn begins a new generation in state to, because a method asks for it. False: c is dead.
func (c *shared) turn(o owner, to State) bool {
	now := clock()
	s, ok := c.begin(o, now)
	if ok {
		before := s.Word
		s.Turn(circuit.State(to), now)
		c.change(o, before, s, Change{Why: circuit.WhyAsked})
	}
	return ok
}

// force is turn for good. It changes nothing if to is forced already.
func (c *shared) force(o owner, to State) bool {
	now := clock()
	s, ok := c.begin(o, now)
	if ok {
		before := s.Word
		if !before.Forced() || before.State() != circuit.State(to) {
			s.Turn(circuit.State(to), now)
			s.Word |= circuit.ForcedBit
		}
		c.change(o, before, s, Change{Why: circuit.WhyAsked})
	}
	return ok
}

// foresee returns the refusal that lasts for d from now on, or nil.
func (c *shared) foresee(d time.Duration) error {
	if circuit.Word(c.word.Load()).State() != circuit.Open {
		return nil
	}
	e := c.refusal()
	if e == nil || e.State != Open || !e.Forced && e.Remaining() <= d {
		return nil
	}
	return e
}

func (c *shared) snapshot(o owner) Snapshot {
	v := Snapshot{Name: o.name()}
	now := clock()
	s, ok := c.begin(o, now)
	if !ok {
		return v
	}
	var openedBy fault.Fault
	if l := c.log.Load(); l != nil {
		v.Since, v.Why, v.Opened, openedBy = l.last.At, l.last.Why, l.opened, l.openedBy
	}
	v.fill(&s, now)
	c.commit(o, s.Word, s, Change{})
	v.OpenedBy = describe(openedBy) // outside the lock: somebody else's Error method
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

// retire makes the shared dead, and returns its generation, if nothing would be lost with it: if it
// is closed, not forced, and was last used before the given time, or holds nothing at all.
func (c *shared) retire(cfg *circuit.Config, before time.Duration) (gen uint32, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, used := circuit.Word(c.word.Load()), c.at
	if win := c.win.Load(); win != nil && c.quick.Load()&quickMask > 0 {
		used = max(used, time.Duration(win.Head.Load())+cfg.Width)
	}
	if w.State() != circuit.Closed || w.Forced() || w.Dead() || used >= before && !c.blank() {
		return 0, false
	}
	c.quick.Store(0)
	c.word.Store(uint64(w | circuit.DeadBit))
	return w.Gen(), true
}

// blank reports whether a new shared would do as well: no counts, and no pass that could be stale.
func (c *shared) blank() bool {
	return c.win.Load() == nil && c.log.Load() == nil && circuit.Word(c.word.Load()).Failures() == 0
}
