package backoff

import "time"

// Fibonacci multiplies Base by 1, 1, 2, 3, 5, 8, …, each the sum of the two before it. It grows
// more slowly than the default [Exponential] and faster than [Linear]. The zero Fibonacci is ready
// to use. Its delays are 100ms → 100ms → 200ms → 300ms → 500ms → 800ms → … → 30s, each with full
// jitter.
type Fibonacci struct {
	Base   time.Duration // delay after the first attempt; 0 = 100 ms
	Min    time.Duration // shortest delay, jitter included; 0 = none
	Max    time.Duration // longest delay; 0 = 30 s, or Base if that is more
	Jitter Jitter        // zero = Full()
}

// Delay returns the delay after attempt n. It does not depend on prev.
func (f Fibonacci) Delay(n int, _ time.Duration, u float64) time.Duration {
	base, in := bounds(f.Base, f.Min, f.Max)
	// While d is below 2⁶³, next is below 2⁶⁴. Once next overflows, it is no longer used.
	d, next := uint64(base), uint64(base)
	for i := 1; i < n && d < uint64(in.high); i++ {
		d, next = next, d+next
	}
	return f.Jitter.spread(time.Duration(min(d, uint64(in.high))), in, u)
}

// Validate returns an error that names the first invalid field: a negative duration, a Base or Min
// above Max, or an invalid Jitter.
func (f Fibonacci) Validate() error {
	if err := validBounds("Fibonacci", f.Base, f.Min, f.Max); err != nil {
		return err
	}
	return f.Jitter.validIn("Fibonacci.Jitter")
}
