// Package crew keeps as many workers as a limit of the requests in flight has room for.
package crew

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/llm"
)

// Crew is a group of workers. Each of them takes memory, so there are only as many as are busy. Its
// fields must not change after the first use.
type Crew struct {
	First  int             // until the Crew is that large, only Start makes it larger
	Most   int             // the largest size
	Flight *limit.Adaptive // limits the requests in flight
	Quota  *llm.Quota      // a worker waits for it before it waits for Flight; nil = none
	Gates  []gate.Gate     // between the Quota and Flight
	Rows   int             // of the input, whose table takes memory
	Work   func()          // is a worker; it returns when no work is left, or Leave returns true

	size    atomic.Int32
	workers sync.WaitGroup

	mu      sync.Mutex
	largest int       // for which Collect was called
	added   time.Time // when Hire last added a worker although there were enough for all permits
}

// unused is the share of the permits that may be unused because workers wait for something else,
// such as the delay before a retry. If more are unused, another worker is hired. A worker leaves if
// more workers than this share wait for a permit.
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

// Hire adds a worker if there are fewer than permits, or too many permits are unused. It adds none
// while workers wait for the limits of all models or for one of the Gates, because another one
// would wait, too.
// A worker calls it when it has work, or begins to wait.
func (c *Crew) Hire() {
	n := c.size.Load()
	if int(n) < c.First || int(n) >= c.Most {
		return
	}
	s := c.Flight.Snapshot()
	few := float64(n) < s.Limit
	if (few || s.Level > unused*s.Limit) && !c.held() && (few || c.settled()) {
		c.add(n)
	}
}

// settled reports whether the worker that Hire added last has had the time to take a permit, or to
// wait for one. Otherwise a new worker would add another one before it takes a permit itself, and
// so on. If settled returns true, the caller adds a worker.
func (c *Crew) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.added) < settling {
		return false
	}
	c.added = time.Now()
	return true
}

// held reports whether another worker would wait for the Quota or for one of the Gates.
func (c *Crew) held() bool {
	if c.Quota != nil && c.Quota.Saturated() {
		return true
	}
	for _, g := range c.Gates {
		if l, ok := g.(interface{ Snapshot() limit.Snapshot }); ok && l.Snapshot().Waiting > 0 {
			return true
		}
	}
	return false
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
