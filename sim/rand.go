package sim

import (
	"math"
	"math/bits"
	"time"
)

// random is a SplitMix64 generator (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
// Generators", 2014). Every client has one of its own. So one client never changes the numbers of
// another, and the order in which the engine handles them does not matter.
type random uint64

const golden = 0x9e3779b97f4a7c15

// newRandom returns stream n of a seed. The seed is mixed first. Otherwise seeds 1 and 2 would give
// streams that are one number apart.
func newRandom(seed, n uint64) random {
	return random(mix(mix(seed) + golden*(n+1)))
}

// mix is the generator's output function (Stafford's variant 13 of MurmurHash3's finalizer). Each
// bit of the input changes about half of the bits of the output.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) next() uint64 {
	*r += golden
	return mix(uint64(*r))
}

// float returns a number in [0, 1). It has the 53 bits that a float64 can hold, so no rounding
// makes it 1.
func (r *random) float() float64 { return float64(r.next()>>11) * 0x1p-53 }

// below returns an integer in [0, n). Taking the upper half of a product needs no division. Its
// bias is below n/2⁶⁴.
func (r *random) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

// chance reports an event of probability p. It draws nothing if the answer is certain.
func (r *random) chance(p float64) bool {
	return p > 0 && (p >= 1 || r.float() < p)
}

// exp returns a number from the exponential distribution with mean 1.
func (r *random) exp() float64 { return -ln(1 - r.float()) }

// normal returns a number from the normal distribution with mean 0 and deviation 1, by the polar
// method (Marsaglia and Bray, 1964). The method makes two numbers. The second is not kept, because
// that would make every client 8 bytes larger.
func (r *random) normal() float64 {
	for {
		x, y := 2*r.float()-1, 2*r.float()-1
		if s := float64(x*x) + float64(y*y); s > 0 && s < 1 {
			// IEEE 754 demands exact rounding of square roots, so math.Sqrt is the same everywhere.
			return x * math.Sqrt(-2*ln(s)/s)
		}
	}
}

// ln is the natural logarithm of a positive, normal number, to within 10⁻¹⁵. Some platforms
// implement math.Log in assembly; ln rounds in the same way everywhere, because explicit
// conversions keep products and sums from being fused. For x = m·2ᵉ with m in [1, 2), and c near
// 1/m, ln x is e·ln 2 − ln c + ln(1+r) with r = mc − 1. As |r| is below 1/256, a few terms of the
// series for ln(1+r) are enough.
func ln(x float64) float64 {
	u := math.Float64bits(x)
	e := float64(int(u>>52) - 1023)
	t := &logs[u>>45&127]
	r := float64(math.Float64frombits(u&(1<<52-1)|1023<<52)*t.c) - 1
	z := float64(r * r)
	p := float64(r*(1.0/3)) - 0.5 + float64(z*(float64(r*0.2)-0.25-float64(z*(1.0/6))))
	return float64(e*math.Ln2) + t.minusLn + r + float64(z*p)
}

// logs has c and −ln c for 128 values of m.
var logs = func() (t [128]struct{ c, minusLn float64 }) {
	for i := range t {
		m := 1 + (float64(i)+0.5)/128
		// With s = (m−1)/(m+1), ln m = 2(s + s³/3 + s⁵/5 + …).
		s := (m - 1) / (m + 1)
		sum := 0.0
		for n := 41.0; n > 0; n -= 2 {
			sum = float64(sum*float64(s*s)) + 1/n
		}
		t[i].c, t[i].minusLn = 1/m, 2*s*sum
	}
	return t
}()

// exp is eˣ for |x| < 700, rounded the same way on every platform. With x = k·ln 2 + r, eˣ is
// 2ᵏ·eʳ: the power of 2 is exact, and |r| ≤ 0.35 makes 14 terms of the series enough.
func exp(x float64) float64 {
	k := math.Floor(x/math.Ln2 + 0.5)
	r := x - float64(k*math.Ln2)
	p := 1.0
	for n := 14.0; n > 0; n-- {
		p = float64(p*r/n) + 1
	}
	return math.Ldexp(p, int(k))
}

// longest is the longest time that is drawn: a hundred years.
const longest = 100 * 365 * 24 * time.Hour

// never is a time after every run's end.
const never = time.Duration(math.MaxInt64)

// nanos converts x nanoseconds to a time in [0, longest].
func nanos(x float64) time.Duration {
	if !(x > 0) {
		return 0
	}
	if x >= float64(longest) {
		return longest
	}
	return time.Duration(x)
}

// dist is a Dist made ready for drawing.
type dist struct {
	shape      Shape // empty = always 0
	mean       float64
	spread     float64
	mu, narrow float64 // parameters of the normal distribution behind a lognormal one
}

// ready computes once what every draw needs.
func (d Dist) ready() dist {
	if d.Mean == 0 && d.Spread == 0 {
		return dist{}
	}
	r := dist{shape: d.Shape, mean: float64(d.Mean), spread: float64(d.Spread)}
	switch d.Shape {
	case "":
		r.shape = Exponential
	case LogNormal:
		// σ² = ln(1 + cv²) and μ = ln mean − σ²/2 give the lognormal distribution that has this mean and
		// deviation.
		cv := r.spread / r.mean
		v := ln(1 + float64(cv*cv))
		r.narrow, r.mu = math.Sqrt(v), ln(r.mean)-v/2
	}
	return r
}

// draw returns a time in [0, longest], in whole nanoseconds.
func (d *dist) draw(r *random) time.Duration {
	// A switch costs less than a call through an interface, and this runs for every draw.
	switch d.shape {
	case Exponential:
		return nanos(d.mean * r.exp())
	case Constant:
		return nanos(d.mean)
	case Uniform:
		return nanos(d.mean + float64(d.spread*(2*r.float()-1)))
	// Negative times count as positive, as in the AWS experiment that the contention test repeats.
	case Normal:
		return nanos(math.Abs(d.mean + float64(d.spread*r.normal())))
	case LogNormal:
		// e¹⁰⁰ ns is longer than longest, and far from where exp stops being right.
		return nanos(exp(min(d.mu+float64(d.narrow*r.normal()), 100)))
	}
	return 0
}
