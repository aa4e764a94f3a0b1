// Package backoff computes the delays between the attempts of a call, and their jitter.
//
// Strategies are plain data with pure functions. They may be copied, kept in package variables,
// used by any number of goroutines, and compared (except [Steps]).
//
// Every strategy keeps these promises for all arguments:
//   - A delay is never negative, never shorter than Min and never longer than Max. A large attempt
//     number does not make it overflow.
//   - Jitter is drawn between Min and Max. So delays still differ when all clients have reached
//     Max. (AWS's formula in [Decorrelated] then spreads only a third of the clients.)
//   - The same arguments give the same delay on every platform, to the nanosecond.
//   - Arguments and fields outside their range give a delay within these bounds, and never a panic.
//     Each strategy's Validate returns an error that names such a field.
package backoff

import (
	"fmt"
	"time"
)

const (
	defaultBase = 100 * time.Millisecond
	defaultMax  = 30 * time.Second
)

// Backoff computes the delay between two attempts. Implementations keep no state: a delay depends
// only on the arguments.
type Backoff interface {
	// Delay returns the delay after attempt n, counted from 1, has failed. prev is the delay before
	// that attempt, or 0 for the first. u is a random number in [0, 1) that places the delay in the
	// range of its jitter. With a negative u, the delay has no jitter.
	Delay(n int, prev time.Duration, u float64) time.Duration
}

// span is the range in which delays must lie.
type span struct{ low, high time.Duration }

// into returns the delay in s that is nearest to d.
func (s span) into(d time.Duration) time.Duration { return min(max(d, s.low), s.high) }

// bounds returns base and the span from floor to limit, with defaults in place of zeros. The
// defaults are 100 ms, 0, and 30 s or base if that is more. A floor above the limit is lowered to
// the limit.
func bounds(base, floor, limit time.Duration) (time.Duration, span) {
	if base <= 0 {
		base = defaultBase
	}
	if limit <= 0 {
		limit = max(base, defaultMax)
	}
	return base, span{min(max(floor, 0), limit), limit}
}

// validBounds checks the fields Base, Min and Max of the named strategy.
func validBounds(name string, base, floor, limit time.Duration) error {
	_, in := bounds(base, 0, limit)
	switch {
	case base < 0:
		return fmt.Errorf("backoff: %s.Base is %v: want more than 0, or 0 for %v",
			name, base, defaultBase)
	case floor < 0:
		return fmt.Errorf("backoff: %s.Min is %v: want more than 0, or 0 for none", name, floor)
	case limit < 0:
		return fmt.Errorf("backoff: %s.Max is %v: want more than 0, or 0 for %v",
			name, limit, defaultMax)
	case limit > 0 && base > limit:
		return fmt.Errorf("backoff: %s.Base is %v, above its Max of %v: want at most Max",
			name, base, limit)
	case floor > in.high:
		return fmt.Errorf("backoff: %s.Min is %v, above its Max of %v: want at most Max",
			name, floor, in.high)
	}
	return nil
}

// nanos converts x nanoseconds, 0 or more, to a Duration of at most limit. It drops the fraction.
func nanos(x float64, limit time.Duration) time.Duration {
	if x >= float64(limit) {
		return limit
	}
	return time.Duration(x)
}
