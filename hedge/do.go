package hedge

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/clock"
)

// Do calls fn, and calls it again beside that, once or up to h.Max times, while there is no answer
// after h's delay. It returns the first success. If all attempts fail, it returns what the first
// one returned. An error of kind [fault.None] is an answer, and wins as a success does. A nil h is
// one zero Hedge that all callers share.
//
// The first attempt runs on the caller's goroutine, hedges run on others, so fn must allow for
// attempts at the same time. When one has answered, the contexts of the others end with the cause
// [ErrLost], and discard, if it is not nil, is called with each value that another attempt returned
// without an error. Do returns when all attempts have ended and all values are discarded: an fn
// that ignores its context delays the answer. The contexts of all attempts end when Do returns, so
// fn must be done with what it opened by then, as in rebound.Do.
//
// A panic or a runtime.Goexit in any attempt is that of the caller, once the others have ended.
//
// Do does not see the policy around it: give it no fn that must not happen twice.
func Do[T any](
	ctx context.Context, h *Hedge, fn func(context.Context) (T, error), discard func(T),
) (T, error) {
	if h == nil {
		h = &shared
	}
	if err := h.Validate(); err != nil {
		var zero T
		return zero, rebound.Permanent(err)
	}
	delay := h.begin()
	start := h.clock()
	if delay == 0 {
		v, err := fn(ctx)
		if err == nil || h.answered(err) {
			h.success(h.elapsed(start), false)
		} else {
			h.failure()
		}
		return v, err
	}
	c := &call[T]{h: h, fn: fn, discard: discard, start: start, delay: delay}
	c.ctx.Context = ctx
	return c.run()
}

// answered reports whether the error of the only attempt is an answer.
func (h *Hedge) answered(err error) bool {
	f := fault.Of(err)
	h.meet(f)
	return f.Kind == fault.None
}

// call is one call that may be hedged. Its legs are its attempts, numbered from 1.
type call[T any] struct {
	h       *Hedge
	ctx     legContext
	fn      func(context.Context) (T, error)
	discard func(T)
	start   time.Duration
	delay   time.Duration

	others sync.WaitGroup // hedges under way, and the timer while it runs
	mu     sync.Mutex     // guards what follows, while there are others
	timer  *time.Timer
	closed bool // no further hedge begins
	began  int  // legs
	ended  int
	winner int           // the leg; 0 = none yet
	took   time.Duration // until it answered
	v      T             // of the winner, else of the first leg
	err    error

	broken bool // a hedge has ended in a panic, or in a Goexit if panic is nil
	panic  any
}

// run makes the first leg, and returns when all have ended.
func (c *call[T]) run() (T, error) {
	c.began = 1
	c.others.Add(1)
	c.mu.Lock() // the timer may fire before it is stored
	c.timer = time.AfterFunc(c.delay, c.hedge)
	c.mu.Unlock()
	returned := false
	defer c.abandon(&returned)
	v, err := c.fn(&c.ctx)
	c.end(1, v, err)
	c.others.Wait()
	returned = true
	c.ctx.end(nil)
	if c.broken {
		c.rethrow()
	}
	if c.winner > 0 {
		c.h.success(c.took, c.winner > 1)
	} else {
		c.h.failure()
	}
	return c.v, c.err
}

// abandon ends a call whose first leg has ended in a panic or a Goexit, which goes on.
func (c *call[T]) abandon(returned *bool) {
	if *returned {
		return
	}
	c.mu.Lock()
	c.close()
	c.mu.Unlock()
	c.ctx.end(ErrLost)
	c.others.Wait()
	c.discardWinner()
}

// rethrow makes the end of a hedge that of the caller.
func (c *call[T]) rethrow() {
	c.discardWinner()
	if c.panic != nil {
		panic(c.panic)
	}
	runtime.Goexit()
}

func (c *call[T]) discardWinner() {
	if c.winner > 0 && c.err == nil && c.discard != nil {
		c.discard(c.v)
	}
}

// close lets no further hedge begin. The caller holds c.mu.
func (c *call[T]) close() {
	if !c.closed {
		c.closed = true
		if c.timer.Stop() {
			c.others.Done()
		}
	}
}

// hedge is what the timer calls, on a goroutine of its own.
func (c *call[T]) hedge() {
	defer c.others.Done()
	returned := false
	defer func() {
		if !returned {
			c.broke(recover())
		}
	}()
	leg, denied := c.begin()
	switch {
	case denied != "":
		c.event(Denied, leg, denied)
	case leg > 0:
		c.event(Started, leg, "")
		v, err := c.fn(&hedgeContext{&c.ctx, leg})
		c.end(leg, v, err)
	}
	returned = true
}

// begin returns the number of the leg that is due, 0 for none, and why it must not begin.
func (c *call[T]) begin() (leg int, denied Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.ctx.Context.Err() != nil {
		return 0, ""
	}
	leg = c.began + 1
	if denied = c.h.take(); denied != "" {
		return leg, denied
	}
	c.began = leg
	if leg <= c.h.max() {
		c.others.Add(1)
		c.timer.Reset(c.delay)
	}
	return leg, ""
}

// end takes the outcome of a leg.
func (c *call[T]) end(leg int, v T, err error) {
	answer, last := err == nil, false
	if err != nil {
		f := fault.Of(err)
		answer, last = f.Kind == fault.None, c.h.meet(f)
	}
	took := c.h.elapsed(c.start)
	c.mu.Lock()
	c.ended++
	won := answer && c.winner == 0
	if won {
		c.winner, c.took = leg, took
	}
	if won || leg == 1 && c.winner == 0 {
		c.v, c.err = v, err
	}
	if won || last || c.ended == c.began {
		c.close()
	}
	hedged := c.began > 1
	c.mu.Unlock()
	if won && hedged {
		c.ctx.end(ErrLost)
	}
	if !won && err == nil && c.discard != nil {
		c.discard(v)
	}
	switch {
	case won && hedged:
		c.event(Won, leg, "")
	case hedged:
		c.event(Lost, leg, "")
	}
}

// broke takes the panic of a hedge, nil for a Goexit.
func (c *call[T]) broke(panicked any) {
	c.mu.Lock()
	if !c.broken {
		c.broken, c.panic = true, panicked
	}
	c.close()
	c.mu.Unlock()
	c.ctx.end(ErrLost)
}

func (c *call[T]) event(kind EventKind, leg int, why Reason) {
	if c.h.Observe != nil {
		c.h.Observe(c.ctx.Context, Event{
			Kind: kind, Hedge: c.h.Name, Leg: leg, Elapsed: clock.Now() - c.start, Reason: why,
		})
	}
}
