package sim

import (
	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// newLimits returns the limits of p for each process, or nil if p has none. The simulator only
// reads gates, and each process has its own limits, like real processes.
func newLimits(p *rebound.Policy, processes int) [][]clientLimit {
	if len(p.Gates) == 0 {
		return nil
	}
	limits := make([][]clientLimit, processes)
	for i := range limits {
		for _, g := range p.Gates {
			limits[i] = append(limits[i], bareLimit(g))
		}
	}
	return limits
}

// bareLimit returns the bare form of a gate, or nil if it has none. It reads the fields. For a
// field that may be zero it reads a snapshot, because only package limit defines the defaults. A
// gate of any other type cannot be simulated: its code needs a clock and goroutines, and no real
// time passes here.
func bareLimit(g gate.Gate) clientLimit {
	switch g := g.(type) {
	case *limit.Concurrency:
		return &permits{most: int(g.Snapshot().Limit), queue: g.Queue, wait: g.Wait}
	case *limit.Adaptive:
		return newAdaptive(g)
	case *limit.Rate:
		return newRate(g)
	case *limit.Throttle:
		return newThrottle(g)
	}
	return nil
}
