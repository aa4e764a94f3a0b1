package backoff

import (
	"fmt"
	"math"
	"time"
)

// Jitter spreads clients that failed together: a delay d becomes d·U(Low, High), where U draws
// evenly. The zero Jitter is [Full].
//
// A draw is made inside [d·Low, min(d·High, Max)], d being capped at Max before: it never passes
// Max, and it does not pile up there either. Where Max leaves nothing of that range, as with
// Additive at the cap, it is [Max·Low/High, Max] instead. Two well-known how-tos add the jitter
// after the cap, and so let it pass the cap; others cap the sum, and so make clients meet there.
//
// Nor does a draw pile up at Min, to which a shorter d is raised: the range then begins at Min. If
// Min cuts off more than half of the range, half of its width remains: with Full and a Min of 1s,
// a delay of 1s becomes 1s to 1.5s.
type Jitter struct {
	Low  float64 // smallest multiple of the delay, such as 0.5
	High float64 // largest multiple of the delay, such as 1.5
}

// None is no jitter: 1s stays 1s.
func None() Jitter { return Jitter{1, 1} }

// Full draws from nothing to the whole delay: 1s becomes 0s to 1s. It has the least contention in
// AWS's comparison of 2015.
func Full() Jitter { return Jitter{0, 1} }

// Equal keeps half of the delay and draws the other half: 1s becomes 0.5s to 1s.
func Equal() Jitter { return Jitter{0.5, 1} }

// Additive lengthens a delay by up to the fraction f: with Additive(0.5), 1s becomes 1s to 1.5s.
// At the cap it spreads downwards instead. A negative f makes a Jitter that Validate refuses.
func Additive(f float64) Jitter { return Jitter{1, 1 + f} }

// Proportional changes a delay to either side by up to the fraction f: with Proportional(0.5), 1s
// becomes 0.5s to 1.5s. An f outside [0, 1] makes a Jitter that Validate refuses.
func Proportional(f float64) Jitter { return Jitter{1 - f, 1 + f} }

// Validate refuses a range that is not 0 ≤ Low ≤ High < ∞, naming the field.
func (j Jitter) Validate() error { return j.validIn("Jitter") }

func (j Jitter) validIn(owner string) error {
	switch {
	case j.valid():
		return nil
	case !(j.Low >= 0 && j.Low <= math.MaxFloat64):
		return fmt.Errorf("backoff: %s.Low is %v: want a number, 0 or more", owner, j.Low)
	default:
		return fmt.Errorf("backoff: %s.High is %v: want a number not below its Low, %v",
			owner, j.High, j.Low)
	}
}

func (j Jitter) valid() bool {
	return j.Low >= 0 && j.High >= j.Low && j.High <= math.MaxFloat64
}

// spread draws from the range around d, inside in. Products are converted before they are added to:
// else some platforms would fuse the two, and round differently.
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
