package breaker

import (
	"time"

	"github.com/rebound-go/rebound/gate"
)

// Bare is the state of a breaker and nothing else: no clock, no lock, no random number, no
// callback. A [Breaker] is one of these behind a mutex; a simulator or a job engine drives it by
// itself. The zero Bare is closed. It is 24 bytes large, and holds another 96 once it has counted
// a call for a Rate (144 for a SlowRate).
//
// Its methods take the configuration, a Breaker of which they only read the exported fields and
// which any number of Bares may share, and now, the time since an arbitrary fixed start. They are
// not safe for use by several goroutines.
type Bare struct {
	word word
	// at is, when closed: the time of the last result that counted for anything; open: the end
	// of the cooldown; half-open: the time at which the last probe began.
	at  time.Duration
	win *window // nil until the first call is counted
}

// EnterAt is [Breaker.Enter] at now; false: refused.
func (s *Bare) EnterAt(cfg *Breaker, now time.Duration) (gate.Pass, bool) {
	if !s.enter(cfg, now) {
		return gate.Pass{}, false
	}
	return cfg.pass(s.word, now), true
}

// LeaveAt is [Breaker.Leave] at now. The number u in [0, 1) draws the cooldown's jitter, if the
// breaker opens and has any. LeaveAt returns why the state changed, "" if it did not.
func (s *Bare) LeaveAt(
	cfg *Breaker, now time.Duration, p gate.Pass, o gate.Outcome, u float64,
) (why string) {
	if o.Result == gate.OK && uint64(s.word) == p.A<<genShift && !cfg.windowed() {
		return ""
	}
	return s.leave(cfg, now, result{p, cfg.judge(o), cfg.slow(p, now), u})
}

// StateAt is [Breaker.State] at now.
func (s *Bare) StateAt(now time.Duration) State {
	if st := s.word.state(); st != Open || s.word.forced() || now < s.at {
		return st
	}
	return HalfOpen
}

// RemainingAt is what is left of the cooldown at now; 0 if the breaker is not open, or forced.
func (s *Bare) RemainingAt(now time.Duration) time.Duration {
	if s.word.state() != Open || s.word.forced() {
		return 0
	}
	return max(s.at-now, 0)
}

// Why the state changed.
const (
	whyStreak  = "failures in a row"
	whyRate    = "failure rate"
	whySlow    = "slow calls"
	whyCooled  = "cooldown over"
	whyProbe   = "probe failed"
	whySlowly  = "probe slow"
	whyHealthy = "probes succeeded"
	whyAsked   = "asked for"
)

// result is an outcome as the state machine needs it.
type result struct {
	pass gate.Pass
	verdict
	slow bool
	u    float64
}

func (s *Bare) enter(cfg *Breaker, now time.Duration) bool {
	switch s.word.state() {
	case Closed:
		return true
	case Open:
		if s.word.forced() || now < s.at {
			return false
		}
		s.word = s.word.next(HalfOpen)
	}
	return s.probe(cfg, now)
}

// probe lets a call through a half-open breaker, if there is room or the last one is overdue.
func (s *Bare) probe(cfg *Breaker, now time.Duration) bool {
	if s.word.probing() >= cfg.probes() {
		if now < later(s.at, cfg.lease(s.word.expired())) {
			return false
		}
		s.word = s.word.gaveUp()
	}
	s.word++
	s.at = now
	return true
}

func (s *Bare) leave(cfg *Breaker, now time.Duration, r result) (why string) {
	if s.word.stale(r.pass.A) {
		return ""
	}
	switch s.word.state() {
	case Closed:
		if why = s.count(cfg, now, r); why != "" {
			s.open(cfg, now, r.u)
		}
	case HalfOpen:
		why = s.probed(cfg, now, r)
	}
	return why
}

// count counts a result of a closed breaker and returns why it must open, if it must.
func (s *Bare) count(cfg *Breaker, now time.Duration, r result) (why string) {
	if r.verdict == neither {
		return ""
	}
	s.at = now
	if r.verdict == bad {
		s.word = s.word.failed()
	} else {
		s.word = s.word.cleared()
	}
	if cfg.windowed() {
		s.window(cfg, now).add(now, cfg.width(), r)
	}
	if s.word.forced() {
		return ""
	}
	return s.trips(cfg)
}

// window returns the window, made on first use.
func (s *Bare) window(cfg *Breaker, now time.Duration) *window {
	if s.win == nil {
		s.win = newWindow(cfg, now)
	}
	return s.win
}

func (s *Bare) trips(cfg *Breaker) (why string) {
	if n := cfg.failures(); n > 0 && s.word.failures() >= n {
		return whyStreak
	}
	if s.win == nil {
		return ""
	}
	t := s.win.totals()
	switch {
	case t.calls < uint64(cfg.minCalls()):
	case cfg.Rate > 0 && t.rate(t.failed) >= cfg.Rate:
		return whyRate
	case cfg.timed() && t.rate(t.slow) >= cfg.SlowRate:
		return whySlow
	}
	return ""
}

// probed counts the result of a probe. One failure opens, Probes successes close.
func (s *Bare) probed(cfg *Breaker, now time.Duration, r result) (why string) {
	if r.verdict == bad || r.verdict == good && r.slow {
		s.open(cfg, now, r.u)
		if r.verdict == bad {
			return whyProbe
		}
		return whySlowly
	}
	s.word = s.word.ended()
	if r.verdict == neither {
		return ""
	}
	s.word += 1 << passedShift
	if s.word.passed() < cfg.probes() {
		return ""
	}
	s.turn(Closed, now)
	return whyHealthy
}

// open begins a cooldown. The failures in a row that opened a closed breaker stay, for snapshots.
func (s *Bare) open(cfg *Breaker, now time.Duration, u float64) {
	n := s.word.failures()
	s.turn(Open, later(now, cfg.cooldown(u)))
	s.word += word(n)
}

// turn begins a generation in state to. A closed one begins with clean counts; another one leaves
// the window to age, for snapshots.
func (s *Bare) turn(to State, at time.Duration) {
	s.word, s.at = s.word.next(to), at
	if to == Closed && s.win != nil {
		s.win.clear(at)
	}
}
