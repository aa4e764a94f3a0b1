package backoff

import (
	"fmt"
	"time"
)

// Jitter spreads clients that failed together: a delay d becomes d·U(Low, High), where U draws
// evenly. The zero Jitter is [Full].
//
// A draw is made inside [d·Low, min(d·High, Max)], d being capped at Max before: it never passes
// Max, and it does not pile up there either. Where that range has shrunk to nothing, as with
// Additive at the cap, it becomes [Max·Low/High, Max]. Two well-known how-tos add the jitter
// after the cap, so that it passes it; others cap the sum, so that clients meet again at the cap.
type Jitter struct {
	Low  float64 // smallest part of the delay, such as 0.5
	High float64 // largest part of the delay; 1.5 = half as long again
}

// The usual jitters. None leaves the delay alone; Full is the spread with the least contention in
// "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015); Equal keeps half of the delay.
var (
	None  = Jitter{1, 1}
	Full  = Jitter{0, 1}
	Equal = Jitter{0.5, 1}
)

// Additive is a jitter that only lengthens, by up to the fraction f: Additive(0.5) makes 1s a wait
// of 1s to 1.5s.
func Additive(f float64) Jitter { return Jitter{1, 1 + f} }

// Proportional is a jitter to both sides by up to the fraction f: Proportional(0.5) makes 1s a
// wait of 0.5s to 1.5s.
func Proportional(f float64) Jitter { return Jitter{1 - f, 1 + f} }

// Validate refuses a range that is not 0 ≤ Low ≤ High < ∞.
func (j Jitter) Validate() error { return j.validIn("Jitter") }

func (j Jitter) validIn(name string) error {
	switch {
	case !(j.Low >= 0 && finite(j.Low)):
		return fmt.Errorf("backoff: %s.Low is %v: want a number of 0 or more", name, j.Low)
	case !(j.High >= j.Low && finite(j.High)):
		return fmt.Errorf("backoff: %s.High is %v: want a number not below Low, %v",
			name, j.High, j.Low)
	}
	return nil
}

// spread draws from the range around d, which is in [0, limit]. Products stand in conversions, so
// that no platform fuses them with a sum and rounds differently.
func (j Jitter) spread(d, limit time.Duration, u float64) time.Duration {
	if !(u >= 0) || j == None {
		return d
	}
	u = min(u, 1)
	if j == (Jitter{}) || j.Validate() != nil {
		return nanos(float64(d)*u, d)
	}
	top := float64(limit)
	low, high := float64(d)*j.Low, min(float64(d)*j.High, top)
	if low >= top {
		low = top * (j.Low / j.High)
	}
	return nanos(low+float64(u*(high-low)), limit)
}
