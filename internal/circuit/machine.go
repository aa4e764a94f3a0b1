// Package circuit is the bare form of a circuit breaker: its state machine without a clock, a lock,
// a random number or a callback. A breaker.Breaker is one Machine behind a mutex. The simulator
// drives one for each of its processes, in virtual time.
package circuit

import (
	"time"

	"github.com/rebound-go/rebound/gate"
)

// Machine is the state of a breaker and nothing else. The zero Machine is closed. It takes 32
// bytes. Its window takes another 96 for a Rate, and 144 for a SlowRate. A window of calls takes
// 184, and 2 bits for each call. A copy of a Machine shares its window.
//
// Its methods take the configuration, which any number of Machines may share, and now, the time
// since an arbitrary fixed start. They are not safe for concurrent use.
type Machine struct {
	Word Word
	// At is, in the closed state, the time of the last result that counted; in the open state, the end
	// of the cooldown; in the half-open state, the time at which the last probe began.
	At  time.Duration
	Win *Window // nil until the first call is counted
	Trial
}

// Trial is what a Machine counts besides its Word, from the first opening until it closes.
type Trial struct {
	FailedProbes uint16 // half-open: those that failed
	Cooldowns    uint8  // since it was last closed, without those of Trip; at most 63
}

// Enter requests admission at now. It returns false if the call is rejected. A shadow admits a call
// that it would reject, with a ShadowPass.
func (s *Machine) Enter(cfg *Config, now time.Duration) (gate.Pass, bool) {
	switch {
	case s.Admit(cfg, now):
		return cfg.Pass(s.Word, now), true
	case cfg.Shadow:
		return ShadowPass(s.Word), true
	}
	return gate.Pass{}, false
}

// Leave reports how an admitted call ended. The number u in [0, 1) draws the jitter of a cooldown,
// if one begins. Leave returns the reason for a change of state, or "".
func (s *Machine) Leave(
	cfg *Config, now time.Duration, p gate.Pass, o gate.Outcome, u float64,
) (why string) {
	if o.Result == gate.OK && uint64(s.Word) == p.A<<GenShift && !cfg.Windowed() {
		return ""
	}
	return s.Record(cfg, now, Result{p, cfg.Judge(o), cfg.Slow(p, now), u})
}

// State is the state at now. An open breaker whose cooldown is over is half-open.
func (s *Machine) State(now time.Duration) State {
	if st := s.Word.State(); st != Open || s.Word.Forced() || now < s.At {
		return st
	}
	return HalfOpen
}

// Trip opens the breaker at now for d, forced or not. MaxCooldown does not lengthen that time.
func (s *Machine) Trip(now, d time.Duration) { s.Turn(Open, later(now, max(d, 0))) }

// Remaining is the rest of the cooldown at now, or 0 if the breaker is not open, or forced.
func (s *Machine) Remaining(now time.Duration) time.Duration {
	if s.Word.State() != Open || s.Word.Forced() {
		return 0
	}
	return max(s.At-now, 0)
}

// Why the state changed. The texts appear in errors, logs and snapshots.
const (
	WhyStreak  = "failures in a row"
	WhyRate    = "failure rate"
	WhySlow    = "slow calls"
	WhyCooled  = "cooldown over"
	WhyProbe   = "probe failed"
	WhySlowly  = "probe slow"
	WhyHealthy = "probes succeeded"
	WhyAsked   = "asked for"
)

// Result is an outcome in the form that the state machine needs.
type Result struct {
	Pass    gate.Pass
	Verdict Verdict
	Slow    bool
	U       float64 // draws the jitter of a cooldown
}

// Admit is Enter without the pass.
func (s *Machine) Admit(cfg *Config, now time.Duration) bool {
	switch s.Word.State() {
	case Closed:
		return true
	case Open:
		if s.Word.Forced() || now < s.At {
			return false
		}
		s.Word = s.Word.next(HalfOpen)
	}
	return s.probe(cfg, now)
}

// probe admits a call to a half-open breaker, if fewer than Probes are under way or the last one is
// overdue.
func (s *Machine) probe(cfg *Config, now time.Duration) bool {
	// If all probes are under way, another one may begin only when the last one is overdue.
	if s.Word.Probing() >= int(cfg.Probes) {
		if now < later(s.At, cfg.lease(s.Word.expired())) {
			return false
		}
		// The results of the overdue probes will be stale, so they cannot decide any more.
		s.Word = s.Word.gaveUp()
	}
	s.Word++
	s.At = now
	return true
}

// Record is Leave for a result with its verdict. It returns the reason for a change of state, or
// "".
func (s *Machine) Record(cfg *Config, now time.Duration, r Result) (why string) {
	// The call was admitted before the last change of state, so its result is about a past that is
	// over.
	if s.Word.Stale(r.Pass.A) {
		return ""
	}
	switch s.Word.State() {
	case Closed:
		if why = s.count(cfg, now, r); why != "" {
			s.open(cfg, now, r.U)
		}
	case HalfOpen:
		why = s.probed(cfg, now, r)
	}
	return why
}

// count counts a result in the closed state. It returns the reason if the breaker must open, or "".
func (s *Machine) count(cfg *Config, now time.Duration, r Result) (why string) {
	if r.Verdict == Neither {
		return ""
	}
	s.At = now
	if r.Verdict == Bad {
		s.Word = s.Word.failed()
	} else {
		s.Word = s.Word.cleared()
	}
	if cfg.Windowed() {
		s.window(cfg, now).add(now, cfg, r)
	}
	// A forced breaker keeps counting, for snapshots, but nothing opens it.
	if s.Word.Forced() {
		return ""
	}
	return s.trips(cfg)
}

// window returns the window, and makes it at the first use.
func (s *Machine) window(cfg *Config, now time.Duration) *Window {
	if s.Win == nil {
		s.Win = newWindow(cfg, now)
	}
	return s.Win
}

// trips returns why the breaker opens, or "". Failures in a row come first: they are the cheapest
// to check, and the plainest to explain.
func (s *Machine) trips(cfg *Config) (why string) {
	if n := int(cfg.Failures); n > 0 && s.Word.Failures() >= n {
		return WhyStreak
	}
	if s.Win == nil {
		return ""
	}
	t := s.Win.Totals()
	switch {
	case t.Calls < uint64(cfg.MinCalls):
	case cfg.Rate > 0 && t.Rate(t.Failed) >= cfg.Rate:
		return WhyRate
	case cfg.Timed() && t.Rate(t.Slow) >= cfg.SlowRate:
		return WhySlow
	}
	return ""
}

// probed counts the result of a probe. With a Rate, the first Probes results decide. Without one,
// the first failure opens the breaker.
func (s *Machine) probed(cfg *Config, now time.Duration, r Result) (why string) {
	s.Word = s.Word.Ended()
	switch {
	case r.Verdict == Neither:
		return ""
	case r.Verdict == Bad || r.Slow:
		s.FailedProbes++
	default:
		s.Word += 1 << passedShift
	}
	failed, ended := uint64(s.FailedProbes), int(s.FailedProbes)+s.Word.Passed()
	switch {
	// Not enough results yet. Without a Rate the first failure decides.
	case ended < int(cfg.Probes) && (failed == 0 || cfg.Rate > 0):
		return ""
	case failed == 0 || share(failed, uint64(ended)) < cfg.Rate:
		s.Turn(Closed, now)
		return WhyHealthy
	}
	s.open(cfg, now, r.U)
	switch {
	case cfg.Rate > 0 && ended > 1:
		return WhyRate
	case r.Verdict == Bad:
		return WhyProbe
	}
	return WhySlowly
}

// open begins a cooldown. The failures in a row that opened the breaker stay in the Word, for
// snapshots.
func (s *Machine) open(cfg *Config, now time.Duration, u float64) {
	n := s.Word.Failures()
	s.Turn(Open, later(now, cfg.cooldown(s.Cooldowns, u)))
	s.Word += Word(n)
	s.Cooldowns = min(s.Cooldowns+1, maxCooldowns)
}

// maxCooldowns is the number of doublings that makes any duration overflow.
const maxCooldowns = 63

// Turn begins a generation in state to. A closed one begins with all counts at zero. Any other
// keeps the window, which then ages, for snapshots.
func (s *Machine) Turn(to State, at time.Duration) {
	s.Word, s.At, s.FailedProbes = s.Word.next(to), at, 0
	if to != Closed {
		return
	}
	s.Cooldowns = 0
	if s.Win != nil {
		s.Win.clear(at)
	}
}
