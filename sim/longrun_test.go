package sim

import (
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// TestOverloadThatLasts checks the figures in docs/limits.md for half an hour at 1.5 times the
// capacity of 2000 a second. The server is always fully used. Without a Target, Gradient2 takes the
// queue for normal within minutes, and makes it longer. With a Target, the limit stays. Ten
// processes have ten limits, which are too high together from the start, and each takes the others'
// queue for normal.
func TestOverloadThatLasts(t *testing.T) {
	const target = 30 * ms
	minutes := []int{1, 5, 20, 30}[:4-loose/2*2] // the race detector has no time for more than two
	for _, c := range []struct {
		name      string
		processes int
		target    time.Duration
		want      []float64 // the mean limit after each
	}{
		{"Gradient2", 1, 0, []float64{43, 65, 291, 690}},
		{"Target", 1, target, []float64{59, 59, 59, 59}},
		{"Gradient2, ten processes", 10, 0, []float64{40, 62}},
		{"Target, ten processes", 10, target, []float64{8.4, 8.1}},
	} {
		n := min(len(minutes), len(c.want))
		s := Scenario{
			Seed: 1, Duration: time.Duration(minutes[n-1]) * time.Minute, Bin: time.Minute,
			Clients: Clients{Rate: 3000, Timeout: time.Second, Processes: c.processes},
			Server:  Server{Workers: 20, Service: Dist{Mean: 10 * ms}},
		}
		r := play(t, s, behind(&limit.Adaptive{Target: c.target}))
		near(t, c.name+": served", float64(r.OK)/s.Duration.Seconds(), 2000, 0.02)
		for i, m := range minutes[:n] {
			t.Logf("%s: after %d min the limit is %.1f; median %v", c.name, m, r.Bins[m-1].Limit,
				r.Latency.Quantile(0.5))
			near(t, c.name+": limit", r.Bins[m-1].Limit, c.want[i], 0.15)
		}
	}
}

// TestThrottleAfterOutage checks the figures in docs/limits.md for a throttle in a total outage of
// two minutes. It rejects attempts after half of its window, and for 7 to 13 minutes after the
// server is back. A breaker after it opens first, so the throttle has nothing to count.
func TestThrottleAfterOutage(t *testing.T) {
	const outage = 2 * time.Minute
	for _, c := range []struct {
		name       string
		p          *rebound.Policy
		after      time.Duration // until half of the calls succeed again, at least,
		andNoLater time.Duration
		attempts   int64 // in the outage's last minute, at most
	}{
		{"alone", behind(&limit.Throttle{}), 5 * time.Minute, 20 * time.Minute, 3000},
		{"Window 20 s", behind(&limit.Throttle{Window: 20 * time.Second}),
			30 * time.Second, 4 * time.Minute, 10},
		{"with a breaker", &rebound.Policy{
			Attempts: 1, Gates: []gate.Gate{&limit.Throttle{}}, Breaker: &breaker.Breaker{},
		}, 0, time.Minute, 3},
	} {
		for seed := range uint64(10) {
			s := Scenario{
				Seed: seed, Duration: 30 * time.Minute, Bin: 5 * time.Second,
				Clients: Clients{Rate: 100},
				Server: Server{Windows: []Window{
					{From: 5 * time.Minute, To: 5*time.Minute + outage, Refuse: 1},
				}},
			}
			r := play(t, s, c.p)
			attempts, back := int64(0), time.Duration(-1)
			for i, b := range r.Bins {
				at := time.Duration(i)*s.Bin - s.Server.Windows[0].To
				if at < 0 && at >= -time.Minute {
					attempts += b.Attempts
				}
				if at >= 0 && back < 0 && 2*b.OK > b.Calls {
					back = at
				}
			}
			if back < c.after || back > c.andNoLater || attempts > c.attempts {
				t.Errorf("%s, seed %d: half succeed after %v; %d attempts in the last minute",
					c.name, seed, back, attempts)
			}
		}
	}
}
