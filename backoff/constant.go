package backoff

import (
	"fmt"
	"time"
)

// Constant is the same delay after every attempt, without jitter: Constant(time.Second) gives 1s →
// 1s → 1s. Constant(0) is no delay.
type Constant time.Duration

// Delay returns c, or 0 if c is negative.
func (c Constant) Delay(int, time.Duration, float64) time.Duration {
	return max(0, time.Duration(c))
}

// Validate returns an error if the delay is negative.
func (c Constant) Validate() error {
	if c < 0 {
		return fmt.Errorf("backoff: Constant is %v: want 0 (no delay) or more", time.Duration(c))
	}
	return nil
}
