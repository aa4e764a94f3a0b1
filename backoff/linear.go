package backoff

import (
	"fmt"
	"time"
)

// Linear adds Step to the delay after every attempt: min(Max, Base + (n−1)·Step). The zero Linear
// is ready to use. Its delays are 100ms → 200ms → 300ms → 400ms → … → 30s, each with full jitter.
type Linear struct {
	Base   time.Duration // delay after the first attempt; 0 = 100 ms
	Step   time.Duration // growth from one delay to the next; 0 = Base
	Min    time.Duration // shortest delay, jitter included; 0 = none
	Max    time.Duration // longest delay; 0 = 30 s, or Base if that is more
	Jitter Jitter        // zero = Full()
}

// Delay returns the delay after attempt n. It does not depend on prev.
func (l Linear) Delay(n int, _ time.Duration, u float64) time.Duration {
	base, in := bounds(l.Base, l.Min, l.Max)
	step := l.Step
	if step <= 0 {
		step = base
	}
	d := in.high
	if steps := int64(max(n, 1) - 1); base < d && steps <= int64((d-base)/step) {
		d = base + time.Duration(steps)*step
	}
	return l.Jitter.spread(d, in, u)
}

// Validate returns an error that names the first invalid field: a negative duration, a Base or Min
// above Max, or an invalid Jitter.
func (l Linear) Validate() error {
	if err := validBounds("Linear", l.Base, l.Min, l.Max); err != nil {
		return err
	}
	if l.Step < 0 {
		return fmt.Errorf("backoff: Linear.Step is %v: want more than 0, or 0 for Base", l.Step)
	}
	return l.Jitter.validIn("Linear.Jitter")
}
