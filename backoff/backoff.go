// Package backoff holds the delays between the attempts of a call, and their jitter, as pure
// functions over plain data: values may be compared, copied, kept in package variables and used
// by any number of goroutines.
//
// Every strategy keeps these promises, whatever the arguments:
//   - a delay is never negative and never longer than Max, and no attempt number overflows;
//   - jitter is drawn inside the cap, so that clients which have all reached it still spread
//     (AWS's formula in [Decorrelated] spreads a third of them);
//   - the result is the same on every platform, to the nanosecond;
//   - arguments and fields out of their range give a delay in these bounds, never a panic. Each
//     strategy's Validate names such a field.
package backoff

import (
	"fmt"
	"time"
)

const (
	defaultBase = 100 * time.Millisecond
	defaultMax  = 30 * time.Second
)

// Backoff tells how long to wait between two attempts. Implementations keep no state: what a
// delay may depend on is in the arguments.
type Backoff interface {
	// Delay returns the wait after attempt n, counted from 1, has failed. prev is the wait
	// before that attempt (0 = there was none). u is a random number in [0, 1), and places the
	// delay in its jitter's range; a negative u asks for the delay without jitter.
	Delay(n int, prev time.Duration, u float64) time.Duration
}

// bounds returns base and limit with their defaults in place: 100 ms, and 30 s or base if that is
// more.
func bounds(base, limit time.Duration) (time.Duration, time.Duration) {
	if base <= 0 {
		base = defaultBase
	}
	if limit <= 0 {
		limit = max(base, defaultMax)
	}
	return base, limit
}

// validBounds checks the fields Base and Max of the named strategy.
func validBounds(name string, base, limit time.Duration) error {
	switch {
	case base < 0:
		return fmt.Errorf("backoff: %s.Base is %v: want more than 0, or 0 for %v",
			name, base, defaultBase)
	case limit < 0:
		return fmt.Errorf("backoff: %s.Max is %v: want more than 0, or 0 for %v",
			name, limit, defaultMax)
	case limit > 0 && base > limit:
		return fmt.Errorf("backoff: %s.Base is %v, above its Max of %v: want at most Max",
			name, base, limit)
	}
	return nil
}

// nanos converts x nanoseconds, 0 or more, to a Duration of at most limit, dropping the fraction.
func nanos(x float64, limit time.Duration) time.Duration {
	if x >= float64(limit) {
		return limit
	}
	return time.Duration(x)
}
