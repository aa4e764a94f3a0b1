package circuit

import (
	"math"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// Config is what breakers of one kind share: the fields of a breaker.Breaker, with defaults in
// place of zero and invalid values. Each Breaker that counts calls has one; the small types keep it
// at 80 bytes.
type Config struct {
	Failures       int32         // in a row that open; 0 = none do
	Probes         int16         // up to MaxProbes
	Shadow         bool          // rejects nothing
	Rate           float64       // of failures that opens; 0 = none does
	MinCalls       int32         // in the window before a rate counts
	Calls          int32         // that the window holds; 0 = it is a time
	Width          time.Duration // of one of the window's Buckets, if it is a time
	SlowAfter      time.Duration // with SlowRate; 0 = calls are not timed
	SlowRate       float64       // of slow calls that opens; 0 = none does
	Cooldown       time.Duration
	MaxCooldown    time.Duration // the longest after reopenings; up to Cooldown = Cooldown
	CooldownJitter float64
	Counts         func(fault.Fault) bool // nil = transient, overloaded and unknown failures
}

// ConfigOf returns the Config of a *breaker.Breaker. Package breaker sets it, because the simulator
// needs the real defaults and this package cannot import breaker.
var ConfigOf func(breaker any) *Config

// MaxProbes is the largest number of concurrent probes that a Word can count.
const MaxProbes = ProbeMask

// MaxCalls is the largest number of calls that a window can hold. Each takes 2 bits.
const MaxCalls = 1_000_000

// Windowed reports whether every call is counted, not only failures in a row.
func (c *Config) Windowed() bool { return c.Rate > 0 || c.SlowRate > 0 }

// Timed reports whether calls must be timed.
func (c *Config) Timed() bool { return c.SlowRate > 0 }

// cooldown is the length of a cooldown that follows earlier ones without a closing in between. The
// number u in [0, 1) draws the jitter.
func (c *Config) cooldown(earlier uint8, u float64) time.Duration {
	d := max(c.Cooldown, min(doubled(c.Cooldown, int(earlier)), c.MaxCooldown))
	return later(d, time.Duration(float64(d)*c.CooldownJitter*u))
}

// lease is how long probes may take after overdue probes were given up that many times.
func (c *Config) lease(expired int) time.Duration { return doubled(c.Cooldown, expired) }

// doubled is d doubled n times, without overflow.
func doubled(d time.Duration, n int) time.Duration {
	if d > math.MaxInt64>>n {
		return math.MaxInt64
	}
	return d << n
}

// later is t + d, without overflow.
func later(t, d time.Duration) time.Duration {
	if t > math.MaxInt64-d {
		return math.MaxInt64
	}
	return t + d
}

// Pass is the pass of a call that a breaker in state w admits at now.
func (c *Config) Pass(w Word, now time.Duration) gate.Pass {
	p := gate.Pass{A: uint64(w.Gen())}
	if c.Timed() {
		p.B = uint64(now)
	}
	return p
}

// ShadowPass is the pass of a call that a shadow in state w would reject. It has an earlier
// generation, so its result is ignored.
func ShadowPass(w Word) gate.Pass { return gate.Pass{A: uint64(w.Gen() - 1)} }

// Slow reports whether a call admitted with p was slow.
func (c *Config) Slow(p gate.Pass, now time.Duration) bool {
	return c.Timed() && now-time.Duration(p.B) >= c.SlowAfter
}

// Verdict is what a result shows about the health of the service.
type Verdict uint8

// The verdicts. A result that is Neither shows nothing about the service.
const (
	Neither Verdict = iota
	Good
	Bad
)

// Judge classifies a result as breaker.Breaker.Counts describes.
func (c *Config) Judge(o gate.Outcome) Verdict {
	switch {
	case o.Result == gate.OK:
		return Good
	case o.Result == gate.Skipped:
		return Neither
	// Counts is not called for a panic: there is no fault that it could look at.
	case o.Fault == (fault.Fault{}): // a panic
		return Bad
	case o.Fault.Kind == fault.None:
		return Good
	// Counts comes before the kinds below, so that it may count even a rate limit as a failure.
	case c.Counts != nil && c.Counts(o.Fault):
		return Bad
	}
	switch o.Fault.Kind {
	case fault.RateLimited, fault.Canceled:
		return Neither
	case fault.Permanent:
		if o.Fault.Sent == fault.NotSent {
			return Neither
		}
		return Good
	}
	if c.Counts != nil {
		return Good
	}
	return Bad
}
