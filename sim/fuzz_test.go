package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
)

// FuzzRun: every scenario either runs, and its numbers add up, or is rejected with an error that
// has the valid values.
func FuzzRun(f *testing.F) {
	f.Add(uint64(1), uint16(3), uint16(10), uint16(100), int8(3), uint8(2), uint8(100), uint32(0x1234))
	f.Fuzz(func(t *testing.T, seed uint64, clients, think, service uint16, attempts int8,
		workers, fails uint8, bits uint32) {
		share := float64(fails) / 255
		s := Scenario{
			Seed: seed, Duration: 5 * time.Second, MaxAttempts: 200_000,
			PayPerCall: bits&1 > 0, NoJitter: bits&2 > 0,
			Clients: Clients{
				Count: int(clients % 100), Think: Dist{Mean: time.Duration(think) * ms},
				Burst: bits&4 > 0, Timeout: time.Duration(bits>>24) * ms, Processes: int(bits >> 3 & 7),
			},
			Server: Server{
				Workers: int(workers), Queue: int(bits >> 8 & 15),
				Service:     constant(time.Duration(service) * ms),
				DropExpired: bits&16 > 0, Crowding: float64(bits >> 12 & 3),
				Windows: []Window{
					{From: time.Second, To: 2 * time.Second, Refuse: share},
					{From: 1500 * ms, To: 3 * time.Second, Throttle: share, RetryAfter: 300 * ms},
					{From: 2 * time.Second, BlackHole: share / 2, Fail: share, Slow: 1 + share},
				},
			},
		}
		if s.Clients.Count == 0 {
			s.Clients = Clients{Rate: float64(think % 1000), Deadline: time.Second}
		}
		for range bits >> 20 & 3 {
			s.Layers = append(s.Layers, Layer{Mute: bits&32 > 0, Processes: 2})
		}
		p := &rebound.Policy{Attempts: int(attempts), MaxElapsed: time.Duration(bits>>16&3) * time.Second}
		if bits&64 > 0 {
			p.Breaker = &breaker.Breaker{Cooldown: 200 * ms, Rate: share}
		}
		p.Gates = fuzzGates(bits)
		s.Server.Limit.Headers = bits&(1<<19) > 0
		if s.Server.Limit.Headers {
			s.Server.Limit.Requests = int(clients) + 1
		}
		if len(s.Layers) == 0 && bits&(1<<23) > 0 {
			s.Hedge = &hedge.Hedge{After: time.Duration(bits&63) * ms, Max: int(bits & 3)}
		}
		s.Policies = []*rebound.Policy{p}
		r, err := Run(s)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "sim: ") || !strings.Contains(err.Error(), "want ") {
				t.Errorf("the error lacks the valid values: %v", err)
			}
			return
		}
		check(t, r.Policies[0])
	})
}

// fuzzGates are up to five limits, with queues whose waits may be shorter than the calls.
func fuzzGates(bits uint32) (gates []gate.Gate) {
	wait := time.Duration(bits>>24) * 10 * ms
	for i, g := range []gate.Gate{
		&limit.Rate{N: float64(1 + bits>>10&255), Burst: int(bits & 3), Wait: wait},
		&limit.Rate{Wait: wait},
		&limit.Throttle{Window: time.Second},
		&limit.Concurrency{Max: int(bits >> 12 & 7), Queue: 1 + int(bits>>9&31), Wait: wait},
		&limit.Adaptive{Initial: 1 + int(bits>>6&15), Queue: 1 + int(bits>>3&15), Wait: wait},
	} {
		if bits>>[]int{7, 14, 15, 18, 22}[i]&1 > 0 {
			gates = append(gates, g)
		}
	}
	return gates
}
