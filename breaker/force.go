package breaker

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound/fault"
)

func (c *cell) state() State {
	now := clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Bare{word(c.word.Load()), c.at, c.win.Load()}
	return s.StateAt(now)
}

// turn begins a new generation in state to, because somebody asks for it. False: the cell is dead.
func (c *cell) turn(o owner, to State) bool {
	now := clock()
	s, ok := c.begin(o, now)
	if ok {
		before := s.word
		s.turn(to, now)
		c.commit(o, before, s, Change{Why: whyAsked})
	}
	return ok
}

// force is turn for good. It changes nothing if to is forced already.
func (c *cell) force(o owner, to State) bool {
	now := clock()
	s, ok := c.begin(o, now)
	if ok {
		before := s.word
		if !before.forced() || before.state() != to {
			s.turn(to, now)
			s.word |= forcedBit
		}
		c.commit(o, before, s, Change{Why: whyAsked})
	}
	return ok
}

// refuses returns the refusal that lasts for d from now on, or nil.
func (c *cell) refuses(d time.Duration) error {
	if word(c.word.Load()).state() != Open {
		return nil
	}
	e := c.refusal()
	if e == nil || e.State != Open || !e.Forced && e.Remaining() <= d {
		return nil
	}
	return e
}

func (c *cell) snapshot(o owner) Snapshot {
	v := Snapshot{Name: o.name()}
	now := clock()
	s, ok := c.begin(o, now)
	if !ok {
		return v
	}
	v.fill(&s, now)
	var openedBy fault.Fault
	if l := c.log.Load(); l != nil {
		v.Since, v.Why, v.Opened, openedBy = l.last.At, l.last.Why, l.opened, l.openedBy
	}
	c.commit(o, s.word, s, Change{})
	v.OpenedBy = describe(openedBy) // outside the lock: somebody else's Error method
	return v
}

// describe tells a failure in one line, even if its error is a nil pointer whose method panics.
func describe(f fault.Fault) string {
	switch {
	case f.Err == nil:
		return f.Detail
	case f.Detail == "":
		return fmt.Sprint(f.Err)
	}
	return f.Detail + ": " + fmt.Sprint(f.Err)
}

// retire makes the cell dead, and returns its generation, if nothing would be lost with it: if it
// is closed, not forced, and was last used before the given time, or holds nothing at all.
func (c *cell) retire(cfg *Breaker, before time.Duration) (gen uint32, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, used := word(c.word.Load()), c.at
	if win := c.win.Load(); win != nil {
		used = max(used, time.Duration(win.head.Load())+cfg.width())
	}
	if w.state() != Closed || w.forced() || w.dead() || used >= before && !c.blank() {
		return 0, false
	}
	c.quick.Store(0)
	c.word.Store(uint64(w | deadBit))
	return w.gen(), true
}

// blank reports whether a new cell would do as well: no counts, and no pass that could be stale.
func (c *cell) blank() bool {
	return c.win.Load() == nil && c.log.Load() == nil && word(c.word.Load()).failures() == 0
}
