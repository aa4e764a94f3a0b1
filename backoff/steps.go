package backoff

import (
	"fmt"
	"math"
	"time"
)

// Steps is a list of delays, one after each attempt; the last one repeats. With the Delays 1s, 10s
// and 1m and no jitter it waits 1s → 10s → 1m → 1m → 1m.
//
// It has no Max: a Jitter whose High is above 1 draws delays longer than those in the list. Two
// Steps cannot be compared by ==, which panics if they are in interfaces.
type Steps struct {
	Delays []time.Duration // 0 or more each; empty = 100 ms, but Validate refuses that
	Jitter Jitter          // zero = Full
}

// Delay returns the wait after attempt n. It does not depend on prev.
func (s Steps) Delay(n int, _ time.Duration, u float64) time.Duration {
	d := time.Duration(defaultBase)
	if k := len(s.Delays); k > 0 {
		d = s.Delays[min(max(n, 1), k)-1]
	}
	return s.Jitter.spread(d, span{0, math.MaxInt64}, u)
}

// Validate refuses an empty list, negative delays, and an invalid Jitter, naming the field.
func (s Steps) Validate() error {
	if len(s.Delays) == 0 {
		return fmt.Errorf("backoff: Steps.Delays is empty: want at least one")
	}
	for i, d := range s.Delays {
		if d < 0 {
			return fmt.Errorf("backoff: Steps.Delays[%d] is %v: want 0 (no wait) or more", i, d)
		}
	}
	return s.Jitter.validIn("Steps.Jitter")
}
