package backoff

import "time"

// Decorrelated draws each delay from a range that depends on the delay before it, prev. So clients
// drift further apart with every attempt. For the first delay, prev is Base.
//
// If Low and High are 0, a delay is min(Max, U(Base, 3·prev)), where U draws evenly. This formula
// is from "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015). Once prev has reached
// Max, two in three of its delays are exactly Max.
//
// If Low and High are set, a delay is prev·U(Low, High), drawn between Min and Max as with a
// [Jitter]. Then delays spread at Max too.
type Decorrelated struct {
	Base time.Duration // prev of the first delay; the shortest delay if High is 0; 0 = 100 ms
	Min  time.Duration // shortest delay; a shorter prev counts as Min; 0 = none
	Max  time.Duration // longest delay; 0 = 30 s, or Base if that is more
	Low  float64       // least growth from one delay to the next, such as 1.3
	High float64       // most growth from one delay to the next, such as 2
}

// Delay returns the delay after an attempt that followed a delay of prev. It does not depend on n.
// Without jitter (u < 0) it is the longest that could be drawn: 300ms → 900ms → 2.7s → … → 30s.
func (c Decorrelated) Delay(_ int, prev time.Duration, u float64) time.Duration {
	base, in := bounds(c.Base, c.Min, c.Max)
	if prev <= 0 {
		prev = base
	}
	prev = max(prev, in.low)
	if !(u >= 0 && u < 1) {
		u = 1
	}
	if j := (Jitter{c.Low, c.High}); j != (Jitter{}) && j.valid() {
		return j.spread(min(prev, in.high), in, u)
	}
	low := float64(in.into(base))
	high := max(low, 3*float64(prev))
	return nanos(low+float64(u*(high-low)), in.high)
}

// Validate returns an error that names the first invalid field: a negative duration, a Base or Min
// above Max, or a range that is not 0 ≤ Low ≤ High.
func (c Decorrelated) Validate() error {
	if err := validBounds("Decorrelated", c.Base, c.Min, c.Max); err != nil {
		return err
	}
	return Jitter{c.Low, c.High}.validIn("Decorrelated")
}
