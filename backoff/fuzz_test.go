package backoff

import (
	"math"
	"testing"
	"time"
)

// FuzzDelay: whatever the fields and arguments, a delay is in [Min, Max], and jitter with a growing
// random number never shortens it.
func FuzzDelay(f *testing.F) {
	f.Add(int64(0), int64(0), int64(0), int64(0), 0.0, 0.0, 0.0, 1, int64(0), 0.5)
	f.Add(int64(second), int64(second), int64(3*second), int64(8*second), 3.0, 1.0, 1.5, 40,
		int64(second), 0.9)
	f.Add(int64(forever), int64(forever), int64(forever), int64(forever), inf, 1.3, 2.0,
		math.MaxInt, int64(-1), nan)
	f.Fuzz(func(t *testing.T, base, step, floor, limit int64, factor, low, high float64,
		n int, prev int64, u float64) {
		b, least, m, j := time.Duration(base), time.Duration(floor), time.Duration(limit),
			Jitter{low, high}
		_, in := bounds(b, least, m)
		all := span{0, forever} // of Steps
		for s, in := range map[Backoff]span{
			Linear{b, time.Duration(step), least, m, j}: in,
			Exponential{b, least, m, factor, j}:         in,
			Exponential{b, least, m, 0, j}:              in,
			Fibonacci{b, least, m, j}:                   in,
			Decorrelated{b, least, m, low, high}:        in,
			Decorrelated{Base: b, Min: least, Max: m}:   in,
			&Steps{[]time.Duration{b, least, m}, j}:     all,
		} {
			got := s.Delay(n, time.Duration(prev), u)
			if got < in.low || got > in.high {
				t.Errorf("%#v, n %d, prev %d, u %v: got %d, want %d to %d",
					s, n, prev, u, got, in.low, in.high)
			}
			if next := s.Delay(n, time.Duration(prev), u/2); u >= 0 && next > got {
				t.Errorf("%#v, n %d, prev %d, u %v: got %d, but %d with u/2", s, n, prev, u, got, next)
			}
		}
	})
}

// FuzzGrowth: without jitter, no delay is shorter than the one before, and each strategy agrees
// with its formula in floating point.
func FuzzGrowth(f *testing.F) {
	f.Add(int64(second), int64(second), int64(8*second), 2.0, 3)
	f.Add(int64(1), int64(3), int64(forever), 1.001, 20_000)
	f.Add(int64(7), int64(1), int64(forever), 1.5, 63)
	f.Fuzz(func(t *testing.T, base, step, limit int64, factor float64, n int) {
		if base < 1 || step < 1 || limit < base || n < 1 || n == math.MaxInt ||
			!(factor == 1 || factor > 1.000001) {
			t.Skip("invalid, or too close to 1 for rounding")
		}
		b, m, steps := time.Duration(base), time.Duration(limit), float64(n-1)
		golden := (1 + math.Sqrt(5)) / 2
		fib := (math.Pow(golden, float64(n)) - math.Pow(1-golden, float64(n))) / math.Sqrt(5)
		for _, row := range []struct {
			s    Backoff
			want float64
		}{
			{Exponential{b, 0, m, factor, None()}, float64(base) * math.Pow(factor, steps)},
			{Exponential{b, 0, m, 2, None()}, float64(base) * math.Pow(2, steps)},
			{Linear{b, time.Duration(step), 0, m, None()}, float64(base) + steps*float64(step)},
			{Fibonacci{b, 0, m, None()}, float64(base) * fib},
		} {
			got, want := row.s.Delay(n, 0, 0.5), min(row.want, float64(limit))
			if math.Abs(float64(got)-want) > 1+want*1e-6 {
				t.Errorf("%#v after attempt %d: got %d, want %.0f", row.s, n, got, want)
			}
			if next := row.s.Delay(n+1, 0, 0.5); next < got {
				t.Errorf("%#v: got %d after attempt %d and %d after the next", row.s, got, n, next)
			}
		}
	})
}

// FuzzSpread: two different random numbers give two different delays, even at the floor and the
// cap, unless the jitter has no width.
func FuzzSpread(f *testing.F) {
	f.Add(int64(second), int64(0), int64(8*second), 1.0, 1.5, 100)
	f.Add(int64(second), int64(second), int64(8*second), 0.5, 1.5, 3)
	f.Add(int64(second), int64(7*second), int64(8*second), 3.0, 4.0, 3)
	f.Fuzz(func(t *testing.T, base, floor, limit int64, low, high float64, n int) {
		j := Jitter{low, high}
		if base < 1e6 || limit < base || floor < 0 || floor > limit-limit/100 ||
			j.Validate() != nil || high < low*1.001 {
			t.Skip("not valid, too short for a nanosecond's difference, or without width")
		}
		e := Exponential{Base: time.Duration(base), Min: time.Duration(floor),
			Max: time.Duration(limit), Jitter: j}
		d := float64(e.Delay(n, 0, -1))
		if d*low > float64(limit)*0.999 && d*low < float64(limit) || d*high < 1e5 {
			t.Skip("just below the cap, where the range ends for one attempt, or tiny")
		}
		if a, b := e.Delay(n, 0, 0.1), e.Delay(n, 0, 0.9); a >= b {
			t.Errorf("%+v after attempt %d: got %v and %v for u 0.1 and 0.9", e, n, a, b)
		}
	})
}
