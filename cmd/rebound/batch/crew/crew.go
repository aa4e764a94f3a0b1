// Package crew keeps as many workers as a limit of the requests in flight has room for.
package crew

import (
	"sync"
	"sync/atomic"
	"time"

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

	mu      sync.Mutex
	largest int       // for which Collect was called
	added   time.Time // when a worker was last added because of unused permits
	asking  bool      // Hire will be called again
}

// unused is the share of the permits that may be unused because workers wait for something else,
// such as the delay before a retry or a rate limit. If more are unused, another worker is hired. A
// worker leaves if more workers than this share wait for a permit.
const unused = 1.0 / 4

// settling is how long a new worker may take to read its row and make the request.
const settling = 10 * time.Millisecond

// collectEvery is how many workers more make another GOGC necessary.
const collectEvery = 32

// Start makes the Crew that large, unless it is already.
func (c *Crew) Start(size int) {
	for n := c.size.Load(); int(n) < min(size, c.Most); n = c.size.Load() {
		c.add(n)
	}
}

// Hire adds a worker if there are fewer than permits, or too many permits are unused. They may be
// unused because workers wait for the rate limit of one model, while the next rows are for another.
// A worker calls Hire when it has work, or begins to wait.
func (c *Crew) Hire() {
	n := c.size.Load()
	if int(n) < c.First || int(n) >= c.Most {
		return
	}
	s := c.Flight.Snapshot()
	if float64(n) < s.Limit || s.Level > unused*s.Limit && c.settled() {
		c.add(n)
	}
}

// settled reports whether the worker that was added last because of unused permits has had the time
// to take one. Otherwise a new worker would add another one before it takes a permit itself, and so
// on. Then Hire is called again when it has had that time, because all workers may be waiting. If
// settled returns true, the caller adds a worker.
func (c *Crew) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := settling - time.Since(c.added)
	if wait <= 0 {
		c.added = time.Now()
		return true
	}
	if !c.asking {
		c.asking = true
		c.workers.Go(func() { c.ask(wait) })
	}
	return false
}

// ask calls Hire after a wait.
func (c *Crew) ask(wait time.Duration) {
	time.Sleep(wait)
	c.mu.Lock()
	c.asking = false
	c.mu.Unlock()
	c.Hire()
}

// add adds a worker to a Crew of n, unless another goroutine has changed its size.
func (c *Crew) add(n int32) {
	if !c.size.CompareAndSwap(n, n+1) {
		return
	}
	if int(n) >= c.First && n%collectEvery == 0 {
		c.collect(int(n) + collectEvery)
	}
	c.workers.Go(c.Work)
}

// collect calls Collect for a Crew of that size, unless the Crew was larger before.
func (c *Crew) collect(size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if size > c.largest {
		c.largest = size
		Collect(c.Rows, size)
	}
}

// Leave reports whether the calling worker must return, because too many wait for a permit.
func (c *Crew) Leave() bool {
	n := c.size.Load()
	if int(n) <= c.First {
		return false
	}
	s := c.Flight.Snapshot()
	return float64(s.Waiting) > unused*s.Limit && c.size.CompareAndSwap(n, n-1)
}

// Wait returns when all workers have returned.
func (c *Crew) Wait() { c.workers.Wait() }
