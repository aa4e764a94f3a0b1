package sim

import (
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
)

// A shadow does not affect calls, and the bins show when it would be open.
func TestShadowBreaker(t *testing.T) {
	s := Scenario{
		Duration: 2 * time.Minute,
		Clients:  Clients{Count: 10, Think: constant(100 * ms), Processes: 1},
		Server:   Server{Windows: []Window{{To: time.Minute, Refuse: 1}}},
	}
	with := func(b *breaker.Breaker) PolicyResult {
		return play(t, s, &rebound.Policy{Attempts: 3, Breaker: b})
	}
	want, got := with(nil), with(&breaker.Breaker{Shadow: true})
	if got.Counts != want.Counts {
		t.Errorf("got %+v, want as without a breaker: %+v", got.Counts, want.Counts)
	}
	if got.Bins[30].Open != 1 || got.Bins[119].Open != 0 {
		t.Errorf("open at 30 s and at 119 s: %v and %v, want 1 and 0",
			got.Bins[30].Open, got.Bins[119].Open)
	}
}

// A cooldown that grows sends fewer probes into a long outage.
func TestGrowingCooldown(t *testing.T) {
	s := Scenario{
		Duration: 2 * time.Minute,
		Clients:  Clients{Count: 10, Think: constant(100 * ms), Processes: 1},
		Server:   Server{Windows: []Window{{Refuse: 1}}},
	}
	for _, c := range []struct {
		most     time.Duration
		attempts int64
	}{{0, 5 + 11}, {time.Hour, 5 + 3}, {20 * time.Second, 5 + 6}} {
		r := play(t, s, &rebound.Policy{
			Attempts: 1, Breaker: &breaker.Breaker{Cooldown: 10 * time.Second, MaxCooldown: c.most},
		})
		if r.Attempts != c.attempts {
			t.Errorf("MaxCooldown %v: %d attempts, want %d", c.most, r.Attempts, c.attempts)
		}
	}
}
