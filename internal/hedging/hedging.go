// Package hedging is the bare form of a hedge: when a second attempt is due, and whether it may
// start. It has no clock, no lock and no budget. A hedge.Hedge keeps one State behind a mutex. The
// simulator keeps one for each of its processes, in virtual time.
package hedging

import (
	"cmp"
	"time"
)

const (
	defaultPercentile = 0.95

	manyCalls = 200             // calls after which both counts are halved
	perHedge  = 10              // calls for each hedge
	fewCalls  = 20              // least calls for that share, so that the first ones may have hedges
	minPause  = time.Second     // without hedges, after a rate limit or an overload
	maxPause  = 2 * time.Minute // the same, whatever delay the server asks for
)

// Config is what all States of a hedge share.
type Config struct {
	After      time.Duration // the delay; 0 = measured
	Percentile float64       // of the times of the successes; 0 = 0.95
}

// State is what a hedge records of its calls. The zero State is ready to use. Times are durations
// since an arbitrary start, and never go back.
type State struct {
	times  histogram
	calls  int           // recent calls that ended
	hedges int           // of recent calls
	held   bool          // until is set: a time may be 0 or negative
	until  time.Duration // no hedge begins before
}

// Why a hedge must not start. The words are those of hedge.Reason, so that the simulator reports
// the same ones.
const (
	Throttled = "throttled" // the server was overloaded a moment ago
	Share     = "share"     // a tenth of the recent calls was hedged
	Budget    = "budget"    // the budget is empty; the owner of the State checks it
)

// Delay returns the time after which a call is hedged, or 0 if there are too few samples to hedge.
func (s *State) Delay(c Config) time.Duration {
	if c.After > 0 {
		return c.After
	}
	return s.times.delay
}

// Samples returns the number of successes that the measured delay is based on.
func (s *State) Samples() int { return s.times.total }

// Hedge counts one hedge at now and returns "", or returns why it must not start. Hedges are at
// most a tenth of the recent calls. The first three may start before any call has ended, so that a
// slow first call can be hedged too.
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

// Undo takes back a hedge that was counted and did not start.
func (s *State) Undo() { s.hedges = max(s.hedges-1, 0) }

// End counts a call that ended. Halving both counts keeps their ratio and lets old calls fade.
func (s *State) End() {
	if s.calls++; s.calls >= manyCalls {
		s.calls, s.hedges = s.calls/2, s.hedges/2
	}
}

// Success records the time from the start of a call to its first success. If a hedge answered, the
// first attempt would have taken longer than that. This does no harm: the attempt was slower than
// the delay, and only that matters to the percentile.
func (s *State) Success(c Config, took time.Duration) {
	s.times.add(took, cmp.Or(c.Percentile, defaultPercentile))
}

// Throttle allows no hedge for the delay that the server asked for, within bounds. A shorter delay
// does not end an earlier, longer one.
func (s *State) Throttle(now, after time.Duration) {
	until := now + min(max(after, minPause), maxPause)
	if !s.held || until > s.until {
		s.held, s.until = true, until
	}
}
