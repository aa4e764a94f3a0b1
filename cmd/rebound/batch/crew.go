package batch

import (
	"sync"
	"sync/atomic"

	"github.com/rebound-go/rebound/limit"
)

// crew is the workers of a run. There are only as many as the limit of the requests in flight keeps
// busy, because each of them takes memory.
type crew struct {
	sync.WaitGroup
	first  int // until the crew is that large, only start makes it larger
	most   int
	flight *limit.Adaptive
	work   func() // sends rows, until none are left or leave returns true
	size   atomic.Int32
}

// spare is how many workers may wait for a permit before one of them leaves.
const spare = 8

// start makes the crew that large, unless it is already.
func (c *crew) start(size int) {
	for n := c.size.Load(); int(n) < min(size, c.most); n = c.size.Load() {
		c.add(n)
	}
}

// hire adds a worker if a request may be sent, and no worker waits to send it.
func (c *crew) hire() {
	n := c.size.Load()
	if int(n) < c.first || int(n) >= c.most {
		return
	}
	if s := c.flight.Snapshot(); s.Waiting == 0 && s.Level > 0 {
		c.add(n)
	}
}

// add adds a worker to a crew of n, unless another goroutine has changed its size.
func (c *crew) add(n int32) {
	if c.size.CompareAndSwap(n, n+1) {
		c.Go(c.work)
	}
}

// leave reports whether the calling worker is to leave, because too many wait.
func (c *crew) leave() bool {
	n := c.size.Load()
	return int(n) > c.first && c.flight.Snapshot().Waiting > spare &&
		c.size.CompareAndSwap(n, n-1)
}
