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

// Do calls fn. If there is no answer after h's delay, Do calls fn again beside it, up to h.Max
// times. It returns the first success. If all attempts fail, it returns what the first one
// returned. An error of kind [fault.None] is an answer and is returned like a success. A nil h is
// one zero Hedge that all callers share.
//
// The first attempt runs on the caller's goroutine and hedges run on others, so fn must be safe for
// concurrent calls. When one attempt has answered, the contexts of the others end with the cause
// [ErrLost]. If discard is not nil, it is called with each value that another attempt returned
// without an error, for example to close it. Do returns when all attempts have ended and all such
// values are discarded, so an fn that ignores its context delays the answer. The contexts of all
// attempts end when Do returns. So fn must be done with everything it opened by then, as in
// rebound.Do.
//
// A panic or a runtime.Goexit in any attempt continues in the caller, once the other attempts have
// ended.
//
// Do does not look at the policy around it. Never give it an fn that must not happen twice.
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
	c := &call[T]{h: h, fn: fn, discard: discard, delay: h.begin(), start: h.clock()}
	c.ctx.Context, c.ctx.call = ctx, c
	return c.run()
}

// call is one call that may be hedged. Its legs are its attempts, numbered from 1.
type call[T any] struct {
	h       *Hedge
	ctx     legContext
	fn      func(context.Context) (T, error)
	discard func(T)
	start   time.Duration
	delay   time.Duration // 0 = no hedge

	others sync.WaitGroup // hedges under way, and the timer while it runs
	mu     sync.Mutex     // guards what follows, while there are others
	timer  *time.Timer
	closed bool // no further hedge begins
	held   bool // the timer is stopped until resume
	began  int  // legs
	ended  int
	winner int           // the leg; 0 = none yet
	sent   time.Duration // when resume was called; 0 = never
	took   time.Duration // until it answered
	v      T             // of the winner, else of the first leg
	err    error

	broken bool // a hedge has ended in a panic, or in a Goexit if panic is nil
	panic  any
}

// run makes the first leg, and returns when all legs have ended.
func (c *call[T]) run() (T, error) {
	c.began = 1
	if c.delay > 0 {
		c.others.Add(1)
		c.mu.Lock() // the timer may fire before it is stored
		c.timer = time.AfterFunc(c.delay, c.hedge)
		c.mu.Unlock()
	}
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

// abandon ends a call whose first leg has ended in a panic or a Goexit, which then continues.
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

// rethrow ends the caller in the same way as a hedge ended.
func (c *call[T]) rethrow() {
	c.discardWinner()
	if c.panic != nil {
		panic(c.panic)
	}
	runtime.Goexit()
}

// discardWinner discards an answer that cannot be returned, because a panic ends the call.
func (c *call[T]) discardWinner() {
	if c.winner > 0 && c.err == nil && c.discard != nil {
		c.discard(c.v)
	}
}

// close keeps further hedges from starting. The caller holds c.mu. If Stop returns false, the
// timer's function is running and counts itself out of others.
func (c *call[T]) close() {
	if c.closed {
		return
	}
	c.closed = true
	if c.timer != nil && (c.timer.Stop() || c.held) {
		c.others.Done()
	}
}

// hold stops the timer of the first hedge. The timer stays counted in others, so that resume can
// start it again.
func (c *call[T]) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil && !c.closed && c.began == 1 && c.timer.Stop() {
		c.held = true
	}
}

// resume ends hold, and records when the attempt was really sent.
func (c *call[T]) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = c.h.clock()
	if c.held && !c.closed {
		c.held = false
		c.timer.Reset(c.delay)
	}
}

// hedge is the function of the timer, which runs it on its own goroutine.
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

// begin returns the number of the leg that is due, or 0 for none, and the reason if it must not
// start.
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
	// The next hedge is added to others here, while this one is still counted, so that Wait cannot
	// return in between.
	if leg <= c.h.max() {
		c.others.Add(1)
		c.timer.Reset(c.delay)
	}
	return leg, ""
}

// end records the outcome of a leg.
func (c *call[T]) end(leg int, v T, err error) {
	answer, last := err == nil, false
	if err != nil {
		f := fault.Of(err)
		answer, last = f.Kind == fault.None, c.h.meet(f)
	}
	c.mu.Lock()
	took := c.h.elapsed(max(c.start, c.sent))
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
	// Contexts end and callbacks run without the lock: both may call code of others.
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

// broke records the panic of a hedge, or nil for a Goexit. The first one counts.
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
