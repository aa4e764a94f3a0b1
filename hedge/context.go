package hedge

import (
	"context"
	"sync"
)

// legContext is the context of a call's legs. It can be canceled only once code asks for its end.
// Until then it is the caller's context, which saves a quick call two allocations.
type legContext struct {
	context.Context // of the caller
	call            holder

	// mu guards the fields below it: legs and the code that they call may use the context at once.
	mu     sync.Mutex
	made   context.Context // nil = not yet
	cancel context.CancelCauseFunc
	over   bool
	cause  error // if over
}

// look returns the context that can be canceled, and makes it the first time.
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

// looked reports whether the context may differ from the caller's.
func (c *legContext) looked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made != nil || c.over
}

// end ends the context. Only the first cause counts.
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

// Done makes the context that can be canceled, since only a channel reports an end.
func (c *legContext) Done() <-chan struct{} { return c.look().Done() }

// Err does not make it while the call goes on: many functions check Err first and never use Done.
func (c *legContext) Err() error {
	if c.looked() {
		return c.look().Err()
	}
	return c.Context.Err()
}

// Value returns values of the caller's context. Package context uses a value to find a context of
// its own above, so once there is one, Value asks that.
func (c *legContext) Value(key any) any {
	switch key {
	case legKey{}:
		return 1
	case callKey{}:
		return c.call
	}
	if c.looked() {
		return c.look().Value(key)
	}
	return c.Context.Value(key)
}

// hedgeContext is the context of a leg after the first.
type hedgeContext struct {
	*legContext
	leg int
}

// The keys under which a context has the number of its leg, and its call.
type (
	legKey  struct{}
	callKey struct{}
)

// holder is a call without its type parameter, which Hold and Resume cannot name.
type holder interface {
	hold()
	resume()
}

// Value returns the leg's number for its key.
func (c *hedgeContext) Value(key any) any {
	switch key {
	case legKey{}:
		return c.leg
	case callKey{}: // only the first leg's waiting holds hedges back
		return nil
	}
	return c.legContext.Value(key)
}

// Leg returns the number of the attempt that [Do] gave ctx to: 1 for the first, 2 and up for
// hedges. An fn may use it to send hedges to another replica. Without a hedge around it, Leg
// returns 1.
func Leg(ctx context.Context) int {
	if n, ok := ctx.Value(legKey{}).(int); ok {
		return n
	}
	return 1
}

// Hold stops the delay of hedges while the first attempt, to which [Do] gave ctx, waits in a queue
// on the client's side, such as a gate. A hedge that began before [Resume] would only join the same
// queue. Hold has no effect in a hedge, or without a hedge around ctx.
func Hold(ctx context.Context) {
	if c, ok := ctx.Value(callKey{}).(holder); ok {
		c.hold()
	}
}

// Resume ends a [Hold]: the attempt has left the queue. The delay begins now, and so does the time
// that is measured, because the time in a queue shows nothing about the service.
func Resume(ctx context.Context) {
	if c, ok := ctx.Value(callKey{}).(holder); ok {
		c.resume()
	}
}
