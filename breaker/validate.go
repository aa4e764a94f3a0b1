package breaker

import (
	"fmt"
	"math"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

const (
	defaultFailures = 5
	defaultMinCalls = 10
	defaultWindow   = 10 * time.Second
	defaultCooldown = 60 * time.Second
	maxProbes       = 1<<probeBits - 1
)

// Validate returns an error that names the first field that is negative, out of range, or in
// contradiction to another one, and says what would be right. A breaker that was not validated
// works all the same: such a field counts as zero, too many Probes as 4095.
func (b *Breaker) Validate() error {
	switch {
	case b.Failures < 0:
		return b.wrong("Failures", b.Failures, "0 (for 5) or more")
	case !share(b.Rate):
		return b.wrong("Rate", b.Rate, "above 0 and at most 1, or 0 for none")
	case b.MinCalls < 0:
		return b.wrong("MinCalls", b.MinCalls, "0 (for 10) or more")
	case b.Window != 0 && b.Window < buckets:
		return b.wrong("Window", b.Window, "0 (for 10s), or at least 10ns")
	case b.SlowAfter < 0:
		return b.wrong("SlowAfter", b.SlowAfter, "0 (for none) or more")
	case !share(b.SlowRate):
		return b.wrong("SlowRate", b.SlowRate, "above 0 and at most 1, or 0 for none")
	case b.SlowRate > 0 && b.SlowAfter == 0:
		return b.wrong("SlowAfter", b.SlowAfter, "set, because SlowRate is")
	case b.SlowAfter > 0 && b.SlowRate == 0:
		return b.wrong("SlowRate", b.SlowRate, "set, because SlowAfter is")
	case b.Cooldown < 0:
		return b.wrong("Cooldown", b.Cooldown, "0 (for 1m0s) or more")
	case !share(b.CooldownJitter):
		return b.wrong("CooldownJitter", b.CooldownJitter, "between 0 and 1")
	case b.Probes < 0 || b.Probes > maxProbes:
		return b.wrong("Probes", b.Probes, fmt.Sprintf("0 (for 1) to %d", maxProbes))
	}
	return nil
}

func (b *Breaker) wrong(field string, got any, want string) error {
	return fmt.Errorf("%s: %s is %v: it must be %s", titled(b.Name), field, got, want)
}

func titled(name string) string {
	if name == "" {
		return "breaker"
	}
	return "breaker " + name
}

func share(x float64) bool { return x >= 0 && x <= 1 } // false for NaN

// windowed reports whether every call is counted, not only failures in a row.
func (b *Breaker) windowed() bool { return b.Rate > 0 && b.Rate <= 1 || b.timed() }

// timed reports whether calls must be timed.
func (b *Breaker) timed() bool { return b.SlowRate > 0 && b.SlowRate <= 1 && b.SlowAfter > 0 }

// failures is the number in a row that opens, or 0 if none does.
func (b *Breaker) failures() int {
	if b.Failures <= 0 && !b.windowed() {
		return defaultFailures
	}
	return max(b.Failures, 0)
}

func (b *Breaker) minCalls() int {
	if b.MinCalls <= 0 {
		return defaultMinCalls
	}
	return b.MinCalls
}

// width is that of one of the window's buckets.
func (b *Breaker) width() time.Duration {
	if b.Window < buckets {
		return defaultWindow / buckets
	}
	return b.Window / buckets
}

func (b *Breaker) probes() int {
	if b.Probes <= 0 {
		return 1
	}
	return min(b.Probes, maxProbes)
}

// cooldown is the length of one, where u in [0, 1) draws the jitter.
func (b *Breaker) cooldown(u float64) time.Duration {
	d := b.Cooldown
	if d <= 0 {
		d = defaultCooldown
	}
	if share(b.CooldownJitter) {
		d = later(d, time.Duration(float64(d)*b.CooldownJitter*u))
	}
	return d
}

// lease is how long probes may take after that many times of giving them up.
func (b *Breaker) lease(expired int) time.Duration {
	d := b.cooldown(0)
	if d > math.MaxInt64>>expired {
		return math.MaxInt64
	}
	return d << expired
}

// later is t + d, without overflow.
func later(t, d time.Duration) time.Duration {
	if t > math.MaxInt64-d {
		return math.MaxInt64
	}
	return t + d
}

// pass is given out at now by a breaker in state w.
func (b *Breaker) pass(w word, now time.Duration) gate.Pass {
	p := gate.Pass{A: uint64(w.gen())}
	if b.timed() {
		p.B = uint64(now)
	}
	return p
}

// slow reports whether a call let in with p was slow.
func (b *Breaker) slow(p gate.Pass, now time.Duration) bool {
	return b.timed() && now-time.Duration(p.B) >= b.SlowAfter
}

// verdict is what a result says about the health of the service.
type verdict uint8

const (
	neither verdict = iota
	good
	bad
)

// judge sorts a result as [Breaker.Counts] describes.
func (b *Breaker) judge(o gate.Outcome) verdict {
	switch {
	case o.Result == gate.OK:
		return good
	case o.Result == gate.Skipped:
		return neither
	case o.Fault == (fault.Fault{}): // a panic
		return bad
	case o.Fault.Kind == fault.None:
		return good
	case b.Counts != nil && b.Counts(o.Fault):
		return bad
	}
	switch o.Fault.Kind {
	case fault.RateLimited, fault.Canceled:
		return neither
	case fault.Permanent:
		if o.Fault.Sent == fault.NotSent {
			return neither
		}
		return good
	}
	if b.Counts != nil {
		return good
	}
	return bad
}
