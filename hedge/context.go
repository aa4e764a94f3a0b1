package hedge

import (
	"context"
	"sync"
)

// legContext is the context of a call's legs. It becomes one that can be canceled when code
// asks for its end. Until then it is that of the caller, which saves a quick call two allocations.
type legContext struct {
	context.Context // of the caller

	mu     sync.Mutex
	made   context.Context // nil = not yet
	cancel context.CancelCauseFunc
	over   bool
	cause  error // if over
}

// look returns the context that can be canceled.
func (c *legContext) look() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made, c.cancel = context.WithCancelCause(c.Context)
		if c.over {
			c.cancel(c.cause)
		}
	}
	return c.made
}

// looked reports whether the context may differ from that of the caller.
func (c *legContext) looked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made != nil || c.over
}

// end ends the context, for the first cause given.
func (c *legContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over, c.cause = true, cause
	if c.made != nil {
		c.cancel(cause)
	}
}

func (c *legContext) Done() <-chan struct{} { return c.look().Done() }

// Err is no look while the call goes on: many an fn asks for it first, and never for Done.
func (c *legContext) Err() error {
	if c.looked() {
		return c.look().Err()
	}
	return c.Context.Err()
}

// Value returns values of the caller's context. Package context looks up its own one by it, which
// is why this asks the context that was made.
func (c *legContext) Value(key any) any {
	if key == (legKey{}) {
		return 1
	}
	if c.looked() {
		return c.look().Value(key)
	}
	return c.Context.Value(key)
}

// hedgeContext is that of a leg after the first.
type hedgeContext struct {
	*legContext
	leg int
}

type legKey struct{}

// Value returns the leg's number for its key.
func (c *hedgeContext) Value(key any) any {
	if key == (legKey{}) {
		return c.leg
	}
	return c.legContext.Value(key)
}

// Leg returns the number of the attempt that [Do] gave ctx to: 1 for the first, from 2 for hedges,
// which an fn may send to another replica. Without a hedge around it is 1.
func Leg(ctx context.Context) int {
	if n, ok := ctx.Value(legKey{}).(int); ok {
		return n
	}
	return 1
}
