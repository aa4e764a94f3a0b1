package sim

import (
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
)

// TestContention plays the model of "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015)
// with 100 clients.
func TestContention(t *testing.T) {
	const trials = 100
	expo := func(j backoff.Jitter) backoff.Backoff {
		return backoff.Exponential{Base: 10 * time.Millisecond, Max: 2 * time.Second, Jitter: j}
	}
	for _, c := range []struct {
		name   string
		wait   backoff.Backoff
		writes float64 // in all
		end    float64 // in ms
	}{
		{"none", backoff.Constant(0), 2422, 2026},
		{"exponential", expo(backoff.None()), 1856, 63_600},
		{"equal", expo(backoff.Equal()), 812, 6640},
		{"full", expo(backoff.Full()), 796, 4910},
		{"decorrelated", backoff.Decorrelated{
			Base: 5 * time.Millisecond, Max: 2 * time.Second,
		}, 1003, 4620},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &rebound.Policy{Attempts: rebound.Unlimited, Backoff: c.wait}
			var writes, end float64
			for seed := range uint64(trials) {
				r := play(t, Scenario{
					Seed: seed, Duration: 10 * time.Minute,
					Clients: Clients{Count: 100, Calls: 1, Burst: true},
					Server: Server{Row: Dist{
						Mean: 10 * time.Millisecond, Spread: 2 * time.Millisecond, Shape: Normal,
					}},
				}, p)
				if r.OK != 100 {
					t.Fatalf("%d clients succeeded, want all 100", r.OK)
				}
				writes += float64(r.Attempts) / trials
				end += r.End.Seconds() * 1000 / trials
			}
			near(t, "writes", writes, c.writes, 0.02)
			near(t, "completion in ms", end, c.end, 0.06)
			t.Log(writes, end)
		})
	}
}
