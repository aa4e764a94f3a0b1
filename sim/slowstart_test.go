package sim

import (
	"testing"
	"time"

	"github.com/rebound-go/rebound/internal/adaptive"
	"github.com/rebound-go/rebound/limit"
)

// An adaptive limit has its slow start in the simulator as well.
func TestAdaptiveSlowStart(t *testing.T) {
	for slow, want := range map[bool]int{false: 4, true: 8} {
		p := newAdaptive(&limit.Adaptive{Initial: 4, SlowStart: slow})
		most := 0
		for i := range 11 {
			most = p.law.add(time.Hour+time.Duration(i)*100*ms, adaptive.Sample{
				Latency: 10 * ms, InFlight: 4, Verdict: adaptive.Served,
			})
		}
		if most != want {
			t.Errorf("slow start %v: a limit of %d after a window, want %d", slow, most, want)
		}
	}
}
