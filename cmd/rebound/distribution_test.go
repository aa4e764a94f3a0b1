package main

import (
	"math"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
)

func TestWaits(t *testing.T) {
	const s = time.Second
	for _, row := range []struct {
		name    string
		backoff backoff.Backoff
		want    []times
	}{
		{"full", backoff.Exponential{Base: s},
			[]times{{0, s / 2, s - 1}, {0, s, 2*s - 1}}},
		{"additive", backoff.Exponential{Base: s, Jitter: backoff.Additive(0.5)},
			[]times{{s, s * 5 / 4, s*3/2 - 1}, {2 * s, s * 5 / 2, 3*s - 1}}},
		{"none", backoff.Linear{Base: s, Jitter: backoff.None()},
			[]times{{s, s, s}, {2 * s, 2 * s, 2 * s}}},
		// U(1, 3·prev) of prev = U(1, 3) has the mean (1 + 3·2) / 2.
		{"decorrelated", backoff.Decorrelated{Base: s},
			[]times{{s, 2 * s, 3*s - 1}, {s, s * 7 / 2, 9*s - 1}}},
		{"never ends", backoff.Constant(math.MaxInt64),
			[]times{{math.MaxInt64, math.MaxInt64, math.MaxInt64}}},
	} {
		w := newWaits(&rebound.Policy{Backoff: row.backoff}, fault.Transient)
		for i, want := range row.want {
			got := w.next(i + 1)
			if !near(got.Least, want.Least) || !near(got.Mean, want.Mean) || !near(got.Most, want.Most) {
				t.Errorf("%s: wait %d: got %v, want %v", row.name, i+1, got, want)
			}
		}
	}
}

// near allows for the rounding of float64, and of 256 samples.
func near(a, b time.Duration) bool { return a-b < 5*time.Microsecond && b-a < 5*time.Microsecond }

func TestShort(t *testing.T) {
	for _, row := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0s"}, {1234 * time.Microsecond, "1.23ms"}, {500 * time.Millisecond, "500ms"},
		{81 * time.Second, "1m21s"}, {time.Minute, "1m"}, {time.Hour, "1h"},
		{90 * time.Minute, "1h30m"}, {10 * time.Minute, "10m"}, {20*time.Second + 4, "20s"},
	} {
		if got := short(row.d); got != row.want {
			t.Errorf("%d ns: got %s, want %s", row.d, got, row.want)
		}
	}
}
