package sim

import (
	"math"
	"testing"
)

func TestLn(t *testing.T) {
	r := newRandom(1, 2)
	for range 100_000 {
		x := math.Ldexp(1-r.float(), r.below(100)-50)
		if got, want := ln(x), math.Log(x); math.Abs(got-want) > 1e-15*max(1, math.Abs(want)) {
			t.Fatalf("ln(%v): got %v, want %v", x, got, want)
		}
	}
}

func TestExp(t *testing.T) {
	r := newRandom(1, 2)
	for range 100_000 {
		x := 200*r.float() - 100
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 1e-13*want {
			t.Fatalf("exp(%v): got %v, want %v", x, got, want)
		}
	}
}
