package sim

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/hedge"
)

// TestHedgesOfLostAttempts: of attempts that are never answered with probability p, a hedge leaves
// calls that fail with p².
func TestHedgesOfLostAttempts(t *testing.T) {
	for _, c := range []struct {
		p      float64
		budget *budget.Budget
	}{{0.03, nil}, {0.05, budget.Unlimited}} {
		t.Run(fmt.Sprint(c.p), func(t *testing.T) {
			s := Scenario{
				Duration: 1000 * time.Second / slow,
				Clients:  Clients{Rate: 1000, Timeout: time.Second},
				Server:   Server{Service: constant(10 * ms), Windows: []Window{{BlackHole: c.p}}},
				Hedge:    &hedge.Hedge{After: 100 * ms, Budget: c.budget},
			}
			r := play(t, s, &rebound.Policy{Attempts: 1})
			calls := float64(r.Calls)
			lost := 6 / math.Sqrt(calls*c.p*c.p) // six standard errors
			near(t, "failed", float64(r.Failed)/calls, c.p*c.p, lost)
			near(t, "hedges", float64(r.Hedges)/calls, c.p, 0.03*loose)
			near(t, "hedges that won", float64(r.HedgesWon)/float64(r.Hedges), 1-c.p, 0.01)
			near(t, "load", r.Amplification, 1+c.p, 0.002*loose)
			if r.Retries != 0 {
				t.Errorf("%d hedges count as retries", r.Retries)
			}
			if got := r.Latency.Quantile(1); got < 110*ms || got > 115*ms {
				t.Errorf("the slowest success took %v, want 110ms", got)
			}
		})
	}
}

// TestHedgesOfSlowAnswers: of two independent exponential times, of which the second begins d
// later, the first that ends lasts longer than d + t with probability e^−(d + 2t)/mean.
func TestHedgesOfSlowAnswers(t *testing.T) {
	const mean, delay = 10 * ms, 40 * ms
	s := Scenario{
		Duration: 1000 * time.Second / slow,
		Clients:  Clients{Rate: 1000},
		Server:   Server{Service: Dist{Mean: mean}},
		Hedge:    &hedge.Hedge{After: delay},
	}
	r := play(t, s, &rebound.Policy{})
	share := math.Exp(-float64(delay) / float64(mean))
	near(t, "hedges", float64(r.Hedges)/float64(r.Calls), share, 0.03*loose)
	near(t, "hedges that won", float64(r.HedgesWon)/float64(r.Hedges), 0.5, 0.03*loose)
	for _, q := range []float64{0.99, 0.999, 0.9999} {
		longer := (math.Log(1/(1-q)) - math.Log(1/share)) / 2 * float64(mean)
		near(t, fmt.Sprint("quantile ", q), float64(r.Latency.Quantile(q)), float64(delay)+longer,
			0.05*loose)
		if q < 1-share { // no call of this quantile is hedged
			t.Fatal("want a longer delay")
		}
	}
	// A measured delay is that of its percentile, or up to an eighth longer.
	s.Hedge = &hedge.Hedge{Percentile: 0.97}
	r = play(t, s, &rebound.Policy{})
	got := float64(r.Hedges) / float64(r.Calls)
	if least := math.Pow(0.03, 1.125); got < 0.9*least/loose || got > 0.03*1.05*loose {
		t.Errorf("%v of the calls were hedged, want %v to 0.03", got, least)
	}
}
