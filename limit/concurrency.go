package limit

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

const defaultMax = 100

// Concurrency admits Max attempts at a time. Up to Queue more wait for a permit, in the order of
// their arrival. All others are rejected at once.
//
// An attempt that ends hands its permit to the first attempt in the queue, so no later attempt can
// take it. An attempt whose context ends leaves the queue.
//
// The zero Concurrency is ready to use: 100 attempts at a time, and none waits. Goroutines and
// policies may share a Concurrency. Once it is in use, do not copy it or change its fields.
type Concurrency struct {
	Name string // in errors and snapshots

	// Max is the largest number of attempts at a time. 0 = 100.
	Max int
	// Queue is the largest number of attempts that wait for a permit. 0 = none.
	Queue int
	// Wait is the longest time that an attempt stays in the queue. It requires a Queue. 0 = until the
	// attempt's context ends.
	Wait time.Duration

	permits permits
	err     atomic.Pointer[Error]
}

// Enter takes a permit. If there is none and the queue has room, it waits for one. It returns an
// [*Error] if it gets none within Wait, or the context's cause if the context ends first. If it
// returns an error, it has taken nothing.
func (c *Concurrency) Enter(ctx context.Context) (gate.Pass, error) {
	if ctx.Err() == nil && c.permits.take(c.limit()) {
		return gate.Pass{}, nil
	}
	return gate.Pass{}, c.wait(ctx)
}

// Leave returns the permit, or hands it to the first attempt in the queue. It ignores the outcome.
func (c *Concurrency) Leave(gate.Pass, gate.Outcome) {
	if c.permits.drop() {
		c.permits.grant(c.limit())
	}
}

// wait is the part of Enter for an attempt that finds no free permit.
func (c *Concurrency) wait(ctx context.Context) error {
	return c.permits.enter(ctx, c.limit, c.Queue, c.Wait, c.rejection)
}

// Refusal returns nil for every d above 0, because it is unknown when a permit will be free. For a
// d of 0 it returns the [*Error] that Enter would return now, or nil.
func (c *Concurrency) Refusal(d time.Duration) error {
	if d > 0 || !c.permits.full(c.limit(), c.Queue) {
		return nil
	}
	return c.rejection()
}

// Snapshot returns the state of the limit now.
func (c *Concurrency) Snapshot() Snapshot {
	return c.permits.snapshot(c.Name, "concurrency", c.limit())
}

// Validate returns an error that names the first invalid field and its valid values, or nil.
func (c *Concurrency) Validate() error {
	switch {
	case c.Max < 0:
		return invalid("Concurrency", c.Name, "Max", c.Max, "1 or more, or 0 for 100")
	}
	return validQueue("Concurrency", c.Name, c.Queue, c.Wait)
}

// validQueue returns an error that names the first invalid field of a queue for permits.
func validQueue(kind, name string, queue int, wait time.Duration) error {
	switch {
	case queue < 0:
		return invalid(kind, name, "Queue", queue, "0 or more")
	case wait < 0:
		return invalid(kind, name, "Wait", wait,
			"more than 0, or 0 for as long as the context lasts")
	case wait > 0 && queue == 0:
		return invalid(kind, name, "Wait", wait, "a Queue too, or no attempt waits")
	}
	return nil
}

func (c *Concurrency) limit() int {
	if c.Max <= 0 {
		return defaultMax
	}
	return min(c.Max, math.MaxInt32)
}

// rejection returns the limit's one Error, so that many rejections allocate nothing.
func (c *Concurrency) rejection() error {
	if e := c.err.Load(); e != nil {
		return e
	}
	c.err.CompareAndSwap(nil, &Error{
		Name: c.Name, is: ErrFull, kind: fault.Overloaded,
		detail: fmt.Sprintf("%d at a time, %d waiting", c.limit(), c.Queue),
	})
	return c.err.Load()
}
