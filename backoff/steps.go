package backoff

import (
	"fmt"
	"math"
	"time"
)

// Steps is a list of delays, one for each failed attempt. The last one repeats. With the Delays 1s,
// 10s and 1m and no jitter, the delays are 1s → 10s → 1m → 1m → 1m.
//
// It has no Max: a Jitter whose High is above 1 draws delays longer than those in the list. Steps
// cannot be compared: == panics for two interfaces that hold Steps.
type Steps struct {
	Delays []time.Duration // each 0 or more; an empty list is invalid, and counts as 100 ms
	Jitter Jitter          // zero = Full()
}

// Delay returns the delay after attempt n. It does not depend on prev.
func (s Steps) Delay(n int, _ time.Duration, u float64) time.Duration {
	d := time.Duration(defaultBase)
	if k := len(s.Delays); k > 0 {
		d = s.Delays[min(max(n, 1), k)-1]
	}
	return s.Jitter.spread(d, span{0, math.MaxInt64}, u)
}

// Validate returns an error that names the field if the list is empty, a delay is negative or the
// Jitter is invalid.
func (s Steps) Validate() error {
	if len(s.Delays) == 0 {
		return fmt.Errorf("backoff: Steps.Delays is empty: want at least one delay")
	}
	for i, d := range s.Delays {
		if d < 0 {
			return fmt.Errorf("backoff: Steps.Delays[%d] is %v: want 0 (no delay) or more", i, d)
		}
	}
	return s.Jitter.validIn("Steps.Jitter")
}
