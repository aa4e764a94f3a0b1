// Package crew keeps as many workers as a limit of the requests in flight has room for.
package crew

import (
	"sync"
	"sync/atomic"

	"github.com/rebound-go/rebound/limit"
)

// Crew is a group of workers. Each of them takes memory, so there are only as many as are busy. Its
// fields must not change after the first use.
type Crew struct {
	First  int             // until the Crew is that large, only Start makes it larger
	Most   int             // the largest size
	Flight *limit.Adaptive // limits the requests in flight
	Rows   int             // of the input, whose table takes memory
	Work   func()          // is a worker; it returns when no work is left, or Leave returns true

	size    atomic.Int32
	workers sync.WaitGroup
}

// unused is the share of the permits that may be unused because workers wait for something else,
// such as the delay before a retry. If more are unused, another worker is hired.
const unused = 1.0 / 4

// collectEvery is how many workers more make another GOGC necessary.
const collectEvery = 32

// Start makes the Crew that large, unless it is already.
func (c *Crew) Start(size int) {
	for n := c.size.Load(); int(n) < min(size, c.Most); n = c.size.Load() {
		c.add(n)
	}
}

// Hire adds a worker if there are fewer than permits, or too many permits are unused. A worker
// calls it when it has work, or begins to wait.
func (c *Crew) Hire() {
	n := c.size.Load()
	if int(n) < c.First || int(n) >= c.Most {
		return
	}
	if s := c.Flight.Snapshot(); float64(n) < s.Limit || s.Level > unused*s.Limit {
		c.add(n)
	}
}

// add adds a worker to a Crew of n, unless another goroutine has changed its size.
func (c *Crew) add(n int32) {
	if !c.size.CompareAndSwap(n, n+1) {
		return
	}
	if int(n) >= c.First && n%collectEvery == 0 {
		Collect(c.Rows, int(n)+collectEvery)
	}
	c.workers.Go(c.Work)
}

// Leave reports whether the calling worker must return, because some wait for a permit.
func (c *Crew) Leave() bool {
	n := c.size.Load()
	return int(n) > c.First && c.Flight.Snapshot().Waiting > 0 && c.size.CompareAndSwap(n, n-1)
}

// Wait returns when all workers have returned.
func (c *Crew) Wait() { c.workers.Wait() }
