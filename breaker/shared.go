package breaker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/circuit"
	"github.com/rebound-go/rebound/internal/clock"
)

// shared is a [circuit.Machine] that goroutines share. All changes of state are made under mu,
// between begin and commit. A call that changes no state, or only records a success in a window,
// uses the atomics and takes no lock.
type shared struct {
	word  atomic.Uint64                  // circuit.Machine.word, written under mu
	quick atomic.Uint64                  // successes not in win yet (see fastpath.go)
	win   atomic.Pointer[circuit.Window] // circuit.Machine.win, written under mu
	log   atomic.Pointer[history]

	mu sync.Mutex
	at time.Duration // circuit.Machine.at
}

// owner is what a shared belongs to: a breaker, or a key of a group.
type owner struct {
	cfg      *circuit.Config
	name     func() string  // called when the state changes
	onChange func(Change)   // Breaker.OnChange
	seq      *atomic.Uint32 // a group's last generation; nil: cells number their own
}

func (c *shared) enter(o owner) (gate.Pass, error) {
	w := circuit.Word(c.word.Load())
	if w.State() == circuit.Closed {
		return c.admit(o.cfg, w), nil
	}
	if e := c.log.Load().rejectEarly(); e != nil {
		return gate.Pass{}, e
	}
	now := clock.Now()
	if e := c.refusal(); e != nil && e.gen == w.Gen() && e.lasts(now) {
		return c.reject(o.cfg, w, e)
	}
	return c.enterLocked(o, now)
}

// reject is the result for a call that c rejects in state w because of e.
func (c *shared) reject(cfg *circuit.Config, w circuit.Word, e *OpenError) (gate.Pass, error) {
	c.log.Load().rejected.Add(1)
	if cfg.Shadow {
		return circuit.ShadowPass(w), nil
	}
	return gate.Pass{}, e
}

// admit admits a call through a closed breaker.
func (c *shared) admit(cfg *circuit.Config, w circuit.Word) gate.Pass {
	if !cfg.Timed() {
		return cfg.Pass(w, 0)
	}
	return cfg.Pass(w, clock.Now())
}

// refusal is the error of the present state, or nil if that is closed. The breaker must have
// changed its state at least once.
func (c *shared) refusal() *OpenError { return c.log.Load().refusal.Load() }

func (c *shared) enterLocked(o owner, now time.Duration) (gate.Pass, error) {
	s, ok := c.begin(o, now)
	// The breaker has closed in the meantime and was forgotten, so the call is admitted.
	if !ok {
		return o.cfg.Pass(s.Word, now), nil
	}
	before := s.Word
	if !s.Admit(o.cfg, now) {
		e := c.refusal()
		c.commit(o, before, s, Change{})
		return c.reject(o.cfg, before, e)
	}
	w, changed := c.commit(o, before, s, Change{Why: circuit.WhyCooled})
	pass := o.cfg.Pass(w, now)
	if changed {
		c.reportOrReturn(o, pass)
	}
	return pass, nil
}

// reportOrReturn reports changes. If OnChange panics, the caller never makes the call, so its probe
// is returned.
func (c *shared) reportOrReturn(o owner, pass gate.Pass) {
	done := false
	defer c.giveBackUnless(&done, pass)
	c.report(o.onChange)
	done = true
}

// giveBackUnless returns a probe whose call was never made. It does not take the owner, which would
// escape to the heap.
func (c *shared) giveBackUnless(done *bool, pass gate.Pass) {
	if *done {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := circuit.Word(c.word.Load()); w.State() == circuit.HalfOpen && !w.Stale(pass.A) {
		c.word.Store(uint64(w.Ended()))
	}
}

// succeed reports a success, if no lock is needed for it.
func (c *shared) succeed(cfg *circuit.Config, p gate.Pass) bool {
	if cfg.Windowed() {
		return c.countFast(cfg, p)
	}
	return c.word.Load() == p.A<<circuit.GenShift
}

// judge is Config.Judge of a call's outcome. If Counts panics, the call counts as failed. Otherwise
// its probe would stay under way.
func (c *shared) judge(o owner, p gate.Pass, out *gate.Outcome) circuit.Verdict {
	if o.cfg.Counts == nil || out.Result != gate.Failed {
		return o.cfg.Judge(*out)
	}
	judged := false
	defer func() {
		if !judged {
			c.leave(o, p, circuit.Bad, out.Fault)
		}
	}()
	v := o.cfg.Judge(*out)
	judged = true
	return v
}

// leave reports the end of a call with the verdict v. It returns false if c is dead and did
// nothing.
func (c *shared) leave(o owner, p gate.Pass, v circuit.Verdict, f fault.Fault) bool {
	w := circuit.Word(c.word.Load())
	if w.Stale(p.A) || v == circuit.Neither && w.State() == circuit.Closed {
		return true
	}
	now := clock.Now()
	r := circuit.Result{Pass: p, Verdict: v, Slow: o.cfg.Slow(p, now)}
	if o.cfg.CooldownJitter > 0 && v != circuit.Neither {
		r.U = rand.Float64()
	}
	s, ok := c.begin(o, now)
	if ok {
		before := s.Word
		c.change(o, before, s, Change{Why: s.Record(o.cfg, now, r), Fault: f})
	}
	return ok
}

// begin locks c and returns its state, to be changed and passed to commit. It returns false if c is
// dead; then c is not locked.
func (c *shared) begin(o owner, now time.Duration) (circuit.Machine, bool) {
	c.mu.Lock()
	if w := circuit.Word(c.word.Load()); w.Dead() {
		c.mu.Unlock()
		return circuit.Machine{Word: w}, false
	}
	c.flush(now, o.cfg)
	s := c.machine()
	return s, true
}

// machine is the state machine. The caller holds mu.
func (c *shared) machine() circuit.Machine {
	s := circuit.Machine{
		Word: circuit.Word(c.word.Load()), At: c.at, Win: c.win.Load(),
	}
	if l := c.log.Load(); l != nil {
		s.Trial = l.trial
	}
	return s
}

// change is commit followed by the report of the change.
func (c *shared) change(o owner, before circuit.Word, s circuit.Machine, ch Change) {
	if _, changed := c.commit(o, before, s, ch); changed {
		c.report(o.onChange)
	}
}

// commit makes s the state and unlocks c. If s is of a new generation, ch holds the reason. In a
// group, the word gets its number here. commit returns the word, and whether there are changes to
// report.
func (c *shared) commit(
	o owner, before circuit.Word, s circuit.Machine, ch Change,
) (w circuit.Word, changed bool) {
	if s.Word.Gen() != before.Gen() {
		if o.seq != nil {
			s.Word = s.Word.Numbered(o.seq.Add(1))
		}
		changed = c.note(o, before, s, ch)
	}
	if l := c.log.Load(); l != nil {
		l.trial = s.Trial
	}
	c.at = s.At
	if s.Win != c.win.Load() {
		c.win.Store(s.Win)
	}
	c.word.Store(uint64(s.Word))
	c.rearm(o.cfg, s)
	c.mu.Unlock()
	return s.Word, changed
}

// note records a new generation and returns whether there are changes to report. The caller holds
// mu.
func (c *shared) note(o owner, before circuit.Word, s circuit.Machine, ch Change) bool {
	l := c.log.Load()
	if l == nil {
		l = new(history)
	}
	ch.Name, ch.Forced, ch.Shadow = o.name(), s.Word.Forced(), o.cfg.Shadow
	ch.From, ch.To = State(before.State()), State(s.Word.State())
	changed := ch.From != ch.To || ch.Forced != before.Forced()
	if changed {
		ch.At = time.Now()
		l.last = ch
		if ch.To == Open && ch.From != Open {
			l.opened++
			l.openedBy = ch.Fault
			l.rejectedBefore = l.rejected.Load()
		}
	}
	l.early.Store(nil)
	if ch.To == Closed {
		l.refusal.Store(nil)
	} else {
		e := &OpenError{Name: ch.Name, State: ch.To, Forced: ch.Forced,
			Why: l.last.Why, Fault: l.openedBy, until: s.At, gen: s.Word.Gen()}
		l.refusal.Store(e)
		l.setEarly(o.cfg, e)
	}
	if changed && o.onChange != nil {
		l.queue = append(l.queue, ch)
	}
	c.log.Store(l)
	return len(l.queue) > 0
}

// report calls f with the queued changes. If another goroutine, or this one further up its stack,
// is already doing so, that one handles the new changes too. So f gets the changes one at a time
// and in order.
func (c *shared) report(f func(Change)) {
	for c.reportOne(f) {
	}
}

func (c *shared) reportOne(f func(Change)) bool {
	c.mu.Lock()
	l := c.log.Load()
	if l.reporting || len(l.queue) == 0 {
		c.mu.Unlock()
		return false
	}
	ch := l.queue[0]
	l.queue = l.queue[1:]
	l.reporting = true
	c.mu.Unlock()
	defer func() { // f may panic
		c.mu.Lock()
		l.reporting = false
		c.mu.Unlock()
	}()
	f(ch)
	return true
}
