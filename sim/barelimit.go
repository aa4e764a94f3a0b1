package sim

import (
	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// The simulator only reads gates. What it plays with is made anew for each process, as a program
// that runs in ten processes has ten limits.

// newLimits returns the limits of p for each process, or nil if it has none.
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

// bareLimit is the bare form of a gate; nil if it has none. Only the fields are read, and a
// snapshot where they have defaults: a number that stands for zero belongs to package limit alone.
// A gate of another type is a user's own. Its code needs a clock and goroutines, and here it would
// be called at times that do not pass.
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
