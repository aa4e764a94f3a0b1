package limit

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/rebound-go/rebound/internal/clock"
	"github.com/rebound-go/rebound/internal/gcra"
)

const defaultPer = time.Second

// rateQueue holds the attempts that wait for a turn of a Rate, in order. Their turns are booked in
// the Rate's word, so that later attempts get later turns. A waiter that leaves gives its turn to
// the next.
//
// A turn follows from the word and from what is booked before it, so it is not stored. Moving the
// turns of thousands costs as much as moving one. Only the first waiter's timer is set to its turn.
type rateQueue struct {
	mu       sync.Mutex
	waiters  list.List     // of *waiter
	booked   time.Duration // the sum of their costs
	forReset int           // attempts that wait for the reset of an allowance, in no order
}

// waiter is one attempt in the queue. The queue's mu guards it.
type waiter struct {
	at    *list.Element
	last  time.Duration // the last time at which its turn is useful
	cost  time.Duration
	timer *time.Timer // set to last, or to the turn of the first waiter if that is earlier
}

// turn returns the time at which a waiter's tokens are available. The caller holds the queue's mu.
func (r *Rate) turn(w *waiter) time.Duration {
	before := time.Duration(0)
	for e := w.at.Prev(); e != nil; e = e.Prev() {
		before += e.Value.(*waiter).cost
	}
	next := time.Duration(r.tat.Load()) - r.queue.booked + before + w.cost
	return r.bucket().Turn(next, w.cost)
}

// watch sets the timer of the first waiter, whose turn has moved. The caller holds the queue's mu.
func (r *Rate) watch() {
	if e := r.queue.waiters.Front(); e != nil {
		w := e.Value.(*waiter)
		w.timer.Reset(min(r.turn(w), w.last) - clock.Now())
	}
}

// remove takes a waiter out of the queue. The caller holds the queue's mu.
func (r *Rate) remove(w *waiter) {
	first := w.at.Prev() == nil
	r.queue.waiters.Remove(w.at)
	r.queue.booked -= w.cost
	if first {
		r.watch()
	}
}

// leave gives a waiter's turn to those behind it. The caller holds the queue's mu.
func (r *Rate) leave(w *waiter) {
	r.tat.Add(-int64(w.cost))
	r.remove(w)
}

// book books the next turn and waits for it. The timer alone does not decide, because Debit, Learn
// and waiters that leave move the turn in the meantime.
func (r *Rate) book(ctx context.Context, b gcra.Bucket, cost time.Duration) error {
	w, err := r.join(ctx, b, cost)
	if w == nil {
		return err
	}
	defer w.timer.Stop()
	for {
		select {
		case <-w.timer.C:
		case <-ctx.Done():
		}
		if over, err := r.wakeUp(ctx, w); over {
			return err
		}
	}
}

// wakeUp reports whether a waiter is done, and its error.
func (r *Rate) wakeUp(ctx context.Context, w *waiter) (over bool, err error) {
	ended := ctx.Err() != nil // this may be at the moment of the turn
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	if ended {
		r.leave(w)
		return true, context.Cause(ctx)
	}
	now, turn := clock.Now(), r.turn(w)
	switch {
	case turn <= now:
		r.remove(w)
		return true, nil
	case w.last <= now:
		r.leave(w)
		return true, r.reject()
	}
	w.timer.Reset(min(turn, w.last) - now) // the turn has moved
	return false, nil
}

// join takes a turn and enters the queue. It returns nil and no error if the turn is now, and an
// error if there is no useful turn.
func (r *Rate) join(ctx context.Context, b gcra.Bucket, cost time.Duration) (*waiter, error) {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	r.awake()
	// The word may change although the caller holds the lock: attempts that need not wait take no
	// lock.
	for {
		old, now := r.tat.Load(), clock.Now()
		next, turn := b.Take(gcra.Tat(old), now, cost)
		last := r.last(ctx, now)
		if turn > max(now, last) {
			return nil, r.reject()
		}
		if !r.tat.CompareAndSwap(old, int64(next)) {
			continue
		}
		if turn <= now {
			return nil, nil
		}
		w := &waiter{last: last, cost: cost, timer: time.NewTimer(last - now)}
		w.at = r.queue.waiters.PushBack(w)
		r.queue.booked += cost
		if w.at.Prev() == nil {
			r.watch()
		}
		return w, nil
	}
}

// last is the last moment at which a turn is useful. A turn at the deadline itself is not.
func (r *Rate) last(ctx context.Context, now time.Duration) time.Duration {
	wait := min(max(r.Wait, 0), gcra.Most)
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-1)
	}
	return now + wait
}

// allowance is what a server allows when its limit is unknown. The Rate's queue.mu guards it.
type allowance struct {
	left  float64
	until time.Duration
}

// takeKnown takes tokens from the allowance that was reported last. Without a report, and after the
// reset of the last one, it admits every attempt.
func (r *Rate) takeKnown(ctx context.Context, n float64) error {
	if r.known.Load() == nil {
		return nil
	}
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	last := r.last(ctx, clock.Now())
	for {
		a, now := r.known.Load(), clock.Now()
		switch {
		case a == nil:
			return nil
		case a.until <= now:
			r.known.Store(nil)
			return nil
		case a.left >= n:
			a.left -= n
			return nil
		case a.until > last:
			return r.reject()
		}
		if !r.sleepUntilReset(ctx, a.until-now) {
			return context.Cause(ctx)
		}
	}
}

// sleepUntilReset waits for d, and releases the queue's mu, which the caller holds, for that time.
// It returns false if the context has ended.
func (r *Rate) sleepUntilReset(ctx context.Context, d time.Duration) bool {
	r.queue.forReset++
	r.queue.mu.Unlock()
	defer func() {
		r.queue.mu.Lock()
		r.queue.forReset--
	}()
	return clock.Sleep(ctx, d) == nil
}
