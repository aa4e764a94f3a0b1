package backoff

import (
	"fmt"
	"math"
	"time"
)

// Exponential multiplies the delay by Factor after every attempt: min(Max, Base·Factorⁿ⁻¹). The
// zero Exponential is ready to use. Its delays are 100ms → 200ms → 400ms → 800ms → … → 30s, each
// with full jitter.
type Exponential struct {
	Base   time.Duration // delay after the first attempt; 0 = 100 ms
	Min    time.Duration // shortest delay, jitter included; 0 = none
	Max    time.Duration // longest delay; 0 = 30 s, or Base if that is more
	Factor float64       // growth from one delay to the next, 1 or more; 0 = 2
	Jitter Jitter        // zero = Full()
}

// Delay returns the delay after attempt n. It does not depend on prev.
func (e Exponential) Delay(n int, _ time.Duration, u float64) time.Duration {
	base, in := bounds(e.Base, e.Min, e.Max)
	n = max(n, 1) - 1
	var d time.Duration
	if e.Factor == 2 || !(e.Factor > 0) {
		d = double(base, in.high, uint(n))
	} else {
		d = nanos(float64(float64(base)*power(e.Factor, n))+0.5, in.high)
	}
	if e.Jitter.High == 0 && in.low == 0 && u >= 0 && u < 1 {
		// A shortcut for the default. The result is that of spread, in a quarter of its time.
		return time.Duration(u * float64(d))
	}
	return e.Jitter.spread(d, in, u)
}

// Validate returns an error that names the first invalid field: a negative duration, a Base or Min
// above Max, a Factor below 1 or not finite, or an invalid Jitter.
func (e Exponential) Validate() error {
	if err := validBounds("Exponential", e.Base, e.Min, e.Max); err != nil {
		return err
	}
	if e.Factor != 0 && !(e.Factor >= 1 && e.Factor <= math.MaxFloat64) {
		return fmt.Errorf("backoff: Exponential.Factor is %v: want a number of 1 or more, "+
			"or 0 for 2", e.Factor)
	}
	return e.Jitter.validIn("Exponential.Jitter")
}

// double returns min(limit, base·2ⁿ).
func double(base, limit time.Duration, n uint) time.Duration {
	if n < 63 && base<<n>>n == base {
		return min(limit, base<<n)
	}
	return limit
}

// power returns fⁿ by squaring. Unlike math.Pow it rounds the same way on every platform.
func power(f float64, n int) float64 {
	p := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p *= f
		}
		f *= f
	}
	return p
}
