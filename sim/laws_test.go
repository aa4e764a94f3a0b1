package sim

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/internal/adaptive"
	"github.com/rebound-go/rebound/limit"
)

// lawScenario is 20 workers of 10 ms with an unbounded queue, and calls that give up after a
// second: 200 a second for 20 s, then 3000, half of the workers' speed from 60 to 90 s, and 1000 a
// second in the end.
func lawScenario(seed uint64) Scenario {
	return Scenario{
		Seed: seed, Duration: 120 * time.Second,
		Clients: Clients{
			Processes: 1, Timeout: time.Second,
			Profile: []Rate{
				{0, 200}, {20 * time.Second, 200}, {20 * time.Second, 3000}, {90 * time.Second, 3000},
				{90 * time.Second, 1000},
			},
		},
		Server: Server{
			Workers: 20, Service: Dist{Mean: 10 * ms},
			Windows: []Window{{From: 60 * time.Second, To: 90 * time.Second, Slow: 2}},
		},
	}
}

var lawPhases = []time.Duration{
	20 * time.Second, 60 * time.Second, 90 * time.Second, 120 * time.Second,
}

// phase is the result of one law in one phase: answers in time per second, the 99th percentile of
// their latencies in ms, and the mean limit.
type phase struct{ served, p99, limit float64 }

func playLaw(t *testing.T, seed uint64, p *rebound.Policy, l func() law) (phases []phase) {
	t.Helper()
	var before [buckets]int64
	begin := time.Duration(0)
	for _, end := range lawPhases {
		s := lawScenario(seed)
		s.Policies = []*rebound.Policy{p}
		s, err := s.complete()
		if err != nil {
			t.Fatal(err)
		}
		// A shorter run is the beginning of a longer one. So a phase's latencies are those of one run
		// minus those of another.
		s.Duration = end
		x := newEngine(&s, p)
		if l != nil {
			x.layers[0].gates[0][0].(*permits).law = l()
		}
		if err := x.run(); err != nil {
			t.Fatal(err)
		}
		in := x.tally.latency
		for i := range in {
			in[i] -= before[i]
		}
		before = x.tally.latency
		one := phase{p99: float64(histogram(&in).Quantile(0.99)) / float64(ms)}
		for _, b := range x.tally.bins[begin/time.Second:] {
			one.served += float64(b.OK) / (end - begin).Seconds()
			one.limit += b.Limit / (end - begin).Seconds()
		}
		phases = append(phases, one)
		begin = end
	}
	return phases
}

// spread is the mean and the range of a figure over the seeds.
type spread struct{ low, mean, high float64 }

func (s spread) String() string { return fmt.Sprintf("%.0f (%.0f–%.0f)", s.mean, s.low, s.high) }

func over(runs [][]phase, i int, of func(phase) float64) spread {
	s := spread{low: math.Inf(1), high: math.Inf(-1)}
	for _, r := range runs {
		v := of(r[i])
		s.low, s.high, s.mean = min(s.low, v), max(s.high, v), s.mean+v/float64(len(runs))
	}
	return s
}

// vegas is the law of Netflix's VegasLimit, once per window. It is here for comparison: its
// baseline is the fastest answer ever seen, so it starves a server that has become slower.
type vegas struct {
	window         adaptive.Window
	limit          float64
	fastest, waits float64
}

func (v *vegas) add(now time.Duration, s adaptive.Sample) int {
	w, complete := v.window.Add(now, s)
	if !complete {
		return int(v.limit)
	}
	rtt := float64(w.Latency)
	v.waits++
	switch {
	case v.waits > 30*v.limit: // a probe
		v.waits, v.fastest = 0, rtt
	case v.fastest == 0 || rtt < v.fastest:
		v.fastest = rtt
	default:
		v.limit = min(max(v.limit+v.step(rtt, w), 1), 1000)
	}
	return int(v.limit)
}

func (v *vegas) step(rtt float64, w adaptive.Summary) float64 {
	log := max(1, math.Log10(v.limit))
	switch queue := math.Ceil(v.limit * (1 - v.fastest/rtt)); {
	case w.Overloaded, queue > 6*log:
		return -log
	case 2*float64(w.Peak) < v.limit:
		return 0
	case queue <= log:
		return 6 * log
	case queue < 3*log:
		return log
	}
	return 0
}

// TestLaws is the table in docs/limits.md: five laws, and the means of ten seeds.
func TestLaws(t *testing.T) {
	behindLimit := func(target time.Duration) *rebound.Policy {
		return behind(&limit.Adaptive{Target: target})
	}
	// One seed is some per cent off the mean of ten.
	const seeds, tol = 10 / slow, 0.01 + 0.03*(loose-1)
	for _, c := range []struct {
		name string
		p    *rebound.Policy
		law  func() law
		want [4]phase
	}{
		{"none", behind(), nil, [4]phase{{201, 47, 0}, {151, 998, 0}, {0, 0, 0}, {0, 0, 0}}},
		{"AIMD", behindLimit(math.MaxInt64), nil,
			[4]phase{{201, 47, 20}, {1993, 58, 40}, {1000, 152, 76}, {1003, 50, 91}}},
		{"AIMD, Target 30 ms", behindLimit(30 * ms), nil,
			[4]phase{{201, 47, 20}, {1993, 58, 40}, {1002, 106, 32}, {1001, 47, 41}}},
		{"Vegas", behindLimit(0), func() law { return &vegas{limit: 20} },
			[4]phase{{201, 47, 20.5}, {1980, 48, 25}, {601, 95, 12.4}, {976, 46, 31}}},
		{"Gradient2", behindLimit(0), nil,
			[4]phase{{201, 47, 20}, {1986, 52, 32}, {997, 97, 24}, {1000, 47, 34}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var runs [][]phase
			for seed := range uint64(seeds) {
				runs = append(runs, playLaw(t, seed+1, c.p, c.law))
			}
			row := ""
			for i, want := range c.want {
				served := over(runs, i, func(p phase) float64 { return p.served })
				p99 := over(runs, i, func(p phase) float64 { return p.p99 })
				most := over(runs, i, func(p phase) float64 { return p.limit })
				near(t, "served", served.mean, want.served, tol)
				near(t, "p99", p99.mean, want.p99, tol+0.01)
				near(t, "limit", most.mean, want.limit, tol+0.01)
				row += fmt.Sprintf(" | %v/s, %v ms, limit %v", served, p99, most)
			}
			t.Log(row)
		})
	}
}
