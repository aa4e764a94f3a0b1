package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
)

// scenarioS is n clients of a server that has half as much capacity again as they need, which
// refuses everything for 30 s.
func scenarioS(n int) Scenario {
	workers := n * 3 / 400
	return Scenario{
		Duration: 120 * time.Second,
		Clients: Clients{
			Count: n, Think: Dist{Mean: 10 * time.Second}, Timeout: time.Second,
		},
		Server: Server{
			Workers: workers, Service: Dist{Mean: 50 * time.Millisecond}, Queue: 2 * workers,
			Windows: []Window{{From: 30 * time.Second, To: 60 * time.Second, Refuse: 1}},
		},
	}
}

func policyS() *rebound.Policy {
	full := fullJitter(100*time.Millisecond, 10*time.Second)
	return &rebound.Policy{Attempts: rebound.Unlimited, Backoff: full, Throttled: full}
}

// BenchmarkScenarioS measures the speed of the simulator. A million clients should take less than 5
// s.
func BenchmarkScenarioS(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			var attempts int64
			runs := 0
			for b.Loop() {
				attempts += play(b, scenarioS(n), policyS()).Attempts
				runs++
			}
			b.ReportMetric(float64(attempts)/float64(n*runs), "attempts/client")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(attempts), "ns/attempt")
		})
	}
}
