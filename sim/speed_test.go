package sim

import (
	"fmt"
	"runtime"
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

func BenchmarkScenarioS(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				r := play(b, scenarioS(n), policyS())
				b.ReportMetric(r.Amplification, "attempts/call")
				b.ReportMetric(float64(r.Attempts)/float64(n), "attempts/client")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(r.Attempts), "ns/attempt")
			}
		})
	}
}

func TestMemory(t *testing.T) {
	const n = 1_000_000
	s := scenarioS(n)
	s, err := s.complete()
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := newEngine(&s, policyS())
	x.run()
	runtime.ReadMemStats(&after)
	t.Log(float64(after.Sys-before.Sys)/n, float64(after.HeapSys)/n, float64(after.TotalAlloc-before.TotalAlloc)/n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Log(float64(after.HeapAlloc-before.HeapAlloc) / n)
	runtime.KeepAlive(x)
}
