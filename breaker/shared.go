package breaker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// clock is the time since an arbitrary fixed start, cheaper to read than a [time.Time] is. It
// is positive even in a synctest bubble, where the year is 2000.
func clock() time.Duration { return time.Since(start) + 1<<62 }

var start = time.Now()

// cell is a [Bare] that goroutines may share. All changes happen under mu, between begin and
// commit; a call that changes nothing, or only adds a success to a window, is content with the
// atomic words.
type cell struct {
	word  atomic.Uint64          // Bare.word, written under mu
	quick atomic.Uint64          // successes not in win yet (see quick.go)
	win   atomic.Pointer[window] // Bare.win, written under mu
	log   atomic.Pointer[journal]

	mu sync.Mutex
	at time.Duration // Bare.at
}

// journal is what a breaker remembers once its state has changed.
type journal struct {
	refusal atomic.Pointer[OpenError] // of the state now, if it refuses

	// Guarded by the cell's mu:
	last     Change
	opened   int
	openedBy fault.Fault
	queue    []Change // not told yet
	telling  bool     // some goroutine is in OnChange
}

// owner is what a cell belongs to: a breaker, or a key of a group.
type owner struct {
	cfg  *Breaker
	name func() string  // asked when the state changes
	seq  *atomic.Uint32 // a group's last generation; nil: cells number their own
}

func (c *cell) enter(o owner) (gate.Pass, error) {
	w := word(c.word.Load())
	if w.state() == Closed {
		return c.admit(o.cfg, w), nil
	}
	e := c.refusal()
	if e != nil && e.gen == w.gen() && e.early.Load() {
		return gate.Pass{}, e
	}
	now := clock()
	if e != nil && e.gen == w.gen() && e.lasts(now) {
		return gate.Pass{}, e
	}
	return c.enterLocked(o, now)
}

// admit lets a call through a breaker that is closed.
func (c *cell) admit(cfg *Breaker, w word) gate.Pass {
	if !cfg.timed() {
		return cfg.pass(w, 0)
	}
	return cfg.pass(w, clock())
}

// refusal is the error of the present state, nil if that is closed. The state must not always
// have been closed.
func (c *cell) refusal() *OpenError { return c.log.Load().refusal.Load() }

func (c *cell) enterLocked(o owner, now time.Duration) (gate.Pass, error) {
	s, ok := c.begin(o, now)
	if !ok { // closed meanwhile, and forgotten
		return o.cfg.pass(s.word, now), nil
	}
	before := s.word
	if !s.enter(o.cfg, now) {
		e := c.refusal()
		c.commit(o, before, s, Change{})
		return gate.Pass{}, e
	}
	w := c.commit(o, before, s, Change{Why: whyCooled})
	return o.cfg.pass(w, now), nil
}

// succeed reports a success, if that takes no lock.
func (c *cell) succeed(cfg *Breaker, p gate.Pass) bool {
	if cfg.windowed() {
		return c.hurry(cfg, p)
	}
	return c.word.Load() == p.A<<genShift
}

// leave reports a call's end, which is judged to be v. False: the cell is dead, and did nothing.
func (c *cell) leave(o owner, p gate.Pass, v verdict, f fault.Fault) bool {
	w := word(c.word.Load())
	if w.stale(p.A) || v == neither && w.state() == Closed {
		return true
	}
	now := clock()
	r := result{pass: p, verdict: v, slow: o.cfg.slow(p, now)}
	if o.cfg.CooldownJitter > 0 && v != neither {
		r.u = rand.Float64()
	}
	s, ok := c.begin(o, now)
	if ok {
		before := s.word
		c.commit(o, before, s, Change{Why: s.leave(o.cfg, now, r), Fault: f})
	}
	return ok
}

// begin locks the cell and returns its state, to be changed and given to commit. False: the cell
// is dead, and not locked.
func (c *cell) begin(o owner, now time.Duration) (Bare, bool) {
	c.mu.Lock()
	s := Bare{word(c.word.Load()), c.at, c.win.Load()}
	if s.word.dead() {
		c.mu.Unlock()
		return s, false
	}
	c.settle(now, o.cfg)
	return s, true
}

// commit makes s the cell's state and unlocks it. If a generation has begun since before, ch says
// why, and OnChange is told. commit returns the word, which in a group gets its number here.
func (c *cell) commit(o owner, before word, s Bare, ch Change) word {
	tell := false
	if s.word.gen() != before.gen() {
		if o.seq != nil {
			s.word = s.word.numbered(o.seq.Add(1))
		}
		tell = c.note(o, before, s, ch)
	}
	c.at = s.at
	if s.win != c.win.Load() {
		c.win.Store(s.win)
	}
	c.word.Store(uint64(s.word))
	c.rearm(o.cfg, s)
	c.mu.Unlock()
	if tell {
		c.tell(o.cfg.OnChange)
	}
	return s.word
}

// note writes down a new generation and reports whether somebody is to be told.
func (c *cell) note(o owner, before word, s Bare, ch Change) bool {
	l := c.log.Load()
	if l == nil {
		l = new(journal)
	}
	ch.Name, ch.From, ch.To, ch.Forced = o.name(), before.state(), s.word.state(), s.word.forced()
	changed := ch.From != ch.To || ch.Forced != before.forced()
	if changed {
		ch.At = time.Now()
		l.last = ch
		if ch.To == Open && ch.From != Open {
			l.opened++
			l.openedBy = ch.Fault
		}
	}
	if ch.To == Closed {
		l.refusal.Store(nil)
	} else {
		e := &OpenError{Name: ch.Name, State: ch.To, Forced: ch.Forced,
			Why: l.last.Why, Fault: l.openedBy, until: s.at, gen: s.word.gen()}
		e.begin()
		l.refusal.Store(e)
	}
	if changed && o.cfg.OnChange != nil {
		l.queue = append(l.queue, ch)
	}
	c.log.Store(l)
	return len(l.queue) > 0
}

// tell tells f of the changes in the queue, unless some goroutine, perhaps this one, is at it
// already: then that one goes on with ours. So f hears one at a time, and in order.
func (c *cell) tell(f func(Change)) {
	for c.tellOne(f) {
	}
}

func (c *cell) tellOne(f func(Change)) bool {
	c.mu.Lock()
	l := c.log.Load()
	if l.telling || len(l.queue) == 0 {
		c.mu.Unlock()
		return false
	}
	ch := l.queue[0]
	l.queue = l.queue[1:]
	l.telling = true
	c.mu.Unlock()
	defer func() { // f may panic
		c.mu.Lock()
		l.telling = false
		c.mu.Unlock()
	}()
	f(ch)
	return true
}
