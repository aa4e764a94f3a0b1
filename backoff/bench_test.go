package backoff

import (
	"math/rand/v2"
	"testing"
	"time"
)

var sink time.Duration

// BenchmarkDelay shows what a delay costs. The rows "floor" and "rand" are parts of "zero" and
// "zero+rand": a call through the interface, and the random number.
func BenchmarkDelay(b *testing.B) {
	rows := []struct {
		name string
		b    Backoff
		u    func() float64
	}{
		{"floor", Constant(1), nil},
		{"zero", Exponential{}, nil},
		{"factor 3", Exponential{Factor: 3}, nil},
		{"additive", Exponential{Jitter: Additive(0.5)}, nil},
		{"decorrelated", Decorrelated{}, nil},
		{"fibonacci", Fibonacci{}, nil},
		{"rand", Constant(1), rand.Float64},
		{"zero+rand", Exponential{}, rand.Float64},
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			u := 0.3
			for i := 0; b.Loop(); i++ {
				if row.u != nil {
					u = row.u()
				}
				sink = row.b.Delay(i&7, time.Second, u)
			}
		})
	}
}
