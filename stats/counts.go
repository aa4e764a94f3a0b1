package stats

import (
	"math"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

const lastRow = 10 // the row of the distribution that stands for so many attempts and more

// counts are the sums for one policy, or of several.
type counts struct {
	succeeded, failed, refused int64
	attempts, waits            int64
	delay, elapsed, longest    time.Duration
	rows                       [lastRow]int64 // calls that made 1, 2, … attempts
	stops                      map[rebound.Reason]int64
	faults                     map[fault.Kind]int64
}

// newCounts makes the maps at once, as a nil map cannot be written to.
func newCounts() *counts {
	return &counts{stops: make(map[rebound.Reason]int64), faults: make(map[fault.Kind]int64)}
}

// add counts one event. Delays and failures count as they happen; all else counts when the call
// ends, so that rates are of complete calls.
func (c *counts) add(e rebound.Event) {
	switch e.Kind {
	case rebound.Retrying:
		c.waits++
		c.delay = plus(c.delay, e.Delay)
		c.faults[e.Fault.Kind]++
	case rebound.Succeeded:
		c.succeeded++
		c.end(e)
	case rebound.GaveUp:
		c.failed++
		c.stops[e.Reason]++
		// The failure of an announced retry was counted with the wait; a call without attempts met none.
		if e.Attempt > 0 && !e.Announced {
			c.faults[e.Fault.Kind]++
		}
		c.end(e)
	}
}

// end counts what the last event of a call tells of the whole call.
func (c *counts) end(e rebound.Event) {
	c.elapsed = plus(c.elapsed, e.Elapsed)
	c.longest = max(c.longest, e.Elapsed)
	// A call without attempts would pull the mean attempts per call below 1.
	if e.Attempt <= 0 {
		c.refused++
		return
	}
	c.attempts += int64(e.Attempt)
	c.rows[min(e.Attempt, lastRow)-1]++
}

// merge adds o to c. It adds to maps that c already has, so c must be from newCounts.
func (c *counts) merge(o *counts) {
	c.succeeded += o.succeeded
	c.failed += o.failed
	c.refused += o.refused
	c.attempts += o.attempts
	c.waits += o.waits
	c.delay = plus(c.delay, o.delay)
	c.elapsed = plus(c.elapsed, o.elapsed)
	c.longest = max(c.longest, o.longest)
	for i, n := range o.rows {
		c.rows[i] += n
	}
	for reason, n := range o.stops {
		c.stops[reason] += n
	}
	for kind, n := range o.faults {
		c.faults[kind] += n
	}
}

// plus adds d to sum, which stays at the longest duration once it is there.
func plus(sum, d time.Duration) time.Duration {
	// A delay may be as long as a Duration can be, and a negative total would be worse than a wrong
	// one.
	if d > math.MaxInt64-sum {
		return math.MaxInt64
	}
	return sum + max(d, 0)
}
