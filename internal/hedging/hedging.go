// Package hedging is the bare form of a hedge: when a second attempt is due, and whether it may
// begin. It has no clock, no lock and no budget. A hedge.Hedge keeps one State behind a mutex; the
// simulator keeps one for each of its processes, in a time of its own.
package hedging

import (
	"cmp"
	"time"
)

const (
	defaultPercentile = 0.95

	manyCalls = 200             // are counted before their counts are halved
	perHedge  = 10              // one hedge in so many calls is the most
	fewCalls  = 20              // so many count at least: the first calls may have hedges too
	minPause  = time.Second     // after an answer that the server is short of room
	maxPause  = 2 * time.Minute // whatever delay the server asks for
)

// Config is what states have in common.
type Config struct {
	After      time.Duration // the delay; 0 = measured
	Percentile float64       // of the times of the successes; 0 = 0.95
}

// State is all that a hedge remembers of its calls. The zero State is ready. Times are since an
// arbitrary start, and never go back.
type State struct {
	times  histogram
	calls  int           // recent ones that ended
	hedges int           // of recent calls
	held   bool          // no hedge begins until then:
	until  time.Duration // in a time that may be below zero
}

// Why a hedge must not begin.
const (
	Throttled = "throttled" // the server was short of room a moment ago
	Share     = "share"     // of a tenth of the recent calls
	Budget    = "budget"    // is empty; what keeps a State decides it
)

// Delay returns the time after which a call is hedged; 0 = never, for want of samples.
func (s *State) Delay(c Config) time.Duration {
	if c.After > 0 {
		return c.After
	}
	return s.times.delay
}

// Samples returns how many successes the measured delay rests on.
func (s *State) Samples() int { return s.times.total }

// Hedge counts one hedge at now and returns "", or else why it must not begin. Hedges are a tenth
// of the recent calls at most, and the first three may begin before any call has ended.
func (s *State) Hedge(now time.Duration) (denied string) {
	switch {
	case s.held && now < s.until:
		return Throttled
	case s.hedges*perHedge > max(s.calls, fewCalls):
		return Share
	}
	s.hedges++
	return ""
}

// Undo takes back a hedge that was counted and did not begin.
func (s *State) Undo() { s.hedges = max(s.hedges-1, 0) }

// End counts a call that ended.
func (s *State) End() {
	if s.calls++; s.calls >= manyCalls {
		s.calls, s.hedges = s.calls/2, s.hedges/2
	}
}

// Success counts the time from a call's beginning to its first success. The time of a call that a
// hedge won is a lower bound of what its first attempt would have taken: that attempt was slower
// than the delay, which is all that the percentile depends on.
func (s *State) Success(c Config, took time.Duration) {
	s.times.add(took, cmp.Or(c.Percentile, defaultPercentile))
}

// Throttle allows no hedge for the delay that the server asked for, within bounds.
func (s *State) Throttle(now, after time.Duration) {
	until := now + min(max(after, minPause), maxPause)
	if !s.held || until > s.until {
		s.held, s.until = true, until
	}
}
