package llm

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rebound-go/rebound"
)

func random() float64 { return rand.Float64() }

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (c *chain) succeeded() {
	c.p.Success()
	c.event(rebound.Event{Kind: rebound.Succeeded})
}

// ended is the engine's own error, which ended an attempt before it began, or the whole call, as
// that of the chain.
func (c *chain) ended(e *rebound.Error) error {
	told := *e
	told.Attempts, told.Elapsed = c.attempts, c.elapsed()
	if told.Err == nil {
		told.Err, told.Fault = c.last, c.fault
	}
	c.gaveUp(&told)
	return &told
}

// stop ends the call and returns its error.
func (c *chain) stop(r rebound.Reason, cause error) error {
	e := &rebound.Error{
		Policy: c.p.Name, Attempts: c.attempts, Reason: r, Fault: c.fault, Elapsed: c.elapsed(),
		Err: c.last, Cause: cause,
	}
	c.gaveUp(e)
	return e
}

func (c *chain) gaveUp(e *rebound.Error) {
	c.event(rebound.Event{
		Kind: rebound.GaveUp, Fault: e.Fault, Err: e, Elapsed: e.Elapsed, Reason: e.Reason,
	})
}

func (c *chain) event(e rebound.Event) {
	if c.p.Observe == nil {
		return
	}
	e.Policy, e.Attempt = c.p.Name, c.attempts
	if e.Elapsed == 0 {
		e.Elapsed = c.elapsed()
	}
	c.p.Observe(c.ctx, e)
}
