package backoff

import (
	"fmt"
	"math"
	"time"
)

// Jitter spreads clients that failed together: a delay d becomes d·U(Low, High), where U draws
// evenly. The zero Jitter is [Full].
//
// The delay d is first capped at Max. The result is then drawn from [d·Low, min(d·High, Max)]. So
// no result exceeds Max, and results do not pile up at Max. If Max leaves nothing of that range, as
// with Additive when d is Max, the range is [Max·Low/High, Max].
//
// Other libraries add jitter after the cap, so that delays exceed the cap. Or they cap the sum, so
// that many clients get the same delay.
//
// Min works in the same way: a shorter d is raised to Min, and the range begins at Min. If Min cuts
// off more than half of the range, half of its width remains. With Full and a Min of 1s, a delay of
// 1s becomes 1s to 1.5s.
type Jitter struct {
	Low  float64 // smallest multiple of the delay, such as 0.5
	High float64 // largest multiple of the delay, such as 1.5
}

// None adds no jitter: 1s stays 1s.
func None() Jitter { return Jitter{1, 1} }

// Full draws from zero to the whole delay: 1s becomes 0s to 1s. It needed the fewest calls in the
// comparison of "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015).
func Full() Jitter { return Jitter{0, 1} }

// Equal keeps half of the delay and draws the other half: 1s becomes 0.5s to 1s.
func Equal() Jitter { return Jitter{0.5, 1} }

// Additive lengthens a delay by up to the fraction f: with Additive(0.5), 1s becomes 1s to 1.5s.
// When d is Max, it shortens the delay instead. A negative f gives an invalid Jitter.
func Additive(f float64) Jitter { return Jitter{1, 1 + f} }

// Proportional shortens or lengthens a delay by up to the fraction f: with Proportional(0.5), 1s
// becomes 0.5s to 1.5s. An f outside [0, 1] gives an invalid Jitter.
func Proportional(f float64) Jitter { return Jitter{1 - f, 1 + f} }

// Validate returns an error that names the field if the range is not 0 ≤ Low ≤ High < ∞.
func (j Jitter) Validate() error { return j.validIn("Jitter") }

func (j Jitter) validIn(owner string) error {
	switch {
	case j.valid():
		return nil
	case !(j.Low >= 0 && j.Low <= math.MaxFloat64):
		return fmt.Errorf("backoff: %s.Low is %v: want a number, 0 or more", owner, j.Low)
	default:
		return fmt.Errorf("backoff: %s.High is %v: want a finite number, at least Low (%v)",
			owner, j.High, j.Low)
	}
}

func (j Jitter) valid() bool {
	return j.Low >= 0 && j.High >= j.Low && j.High <= math.MaxFloat64
}

// spread draws from the range around d, inside in. Each product is converted to float64 before it
// is added. Otherwise some platforms would fuse the two operations and round differently.
func (j Jitter) spread(d time.Duration, in span, u float64) time.Duration {
	d = in.into(d)
	if !(u >= 0) || j == (Jitter{1, 1}) {
		return d
	}
	if u > 1 {
		u = 1
	}
	if j.High == 0 || !j.valid() {
		j = Full()
	}
	floor, top := float64(in.low), float64(in.high)
	low, high := float64(j.Low*float64(d)), float64(j.High*float64(d))
	if high > top {
		high = top
	}
	if low >= top {
		low = top * (j.Low / j.High)
	}
	if low < floor {
		high = max(high, min(top, floor+float64((high-low)/2)))
		low = floor
	}
	return max(nanos(low+float64(u*(high-low)), in.high), in.low)
}
