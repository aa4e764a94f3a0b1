package limit

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rebound-go/rebound/internal/clock"
	"github.com/rebound-go/rebound/internal/gcra"
)

const defaultPer = time.Second

// rateQueue holds those that wait for a turn of a Rate, in order. Their turns are booked in the
// Rate's word, so that whoever comes later has a later turn. A waiter that leaves gives its turn
// to the next one.
type rateQueue struct {
	mu       sync.Mutex
	waiters  []*waiter
	forReset int // that wait for the reset of an allowance, in no order
}

type waiter struct {
	turn  time.Duration // when its tokens are there
	last  time.Duration // when it gives up
	cost  time.Duration
	timer *time.Timer // set to the earlier of turn and last
}

// remove takes a waiter out and returns where it stood. The caller holds mu.
func (q *rateQueue) remove(w *waiter) (i int) {
	i = slices.Index(q.waiters, w)
	q.waiters = slices.Delete(q.waiters, i, i+1)
	return i
}

// shift moves the turns from the i-th waiter on. The caller holds mu.
func (q *rateQueue) shift(i int, by time.Duration) {
	now := clock.Now()
	for _, w := range q.waiters[i:] {
		w.turn += by
		w.timer.Reset(min(w.turn, w.last) - now)
	}
}

// booked is the sum of the waiters' costs. The caller holds mu.
func (q *rateQueue) booked() (sum time.Duration) {
	for _, w := range q.waiters {
		sum += w.cost
	}
	return sum
}

// book books the next turn and waits for it. The timer alone does not decide: Debit, Learn and
// waiters that leave move the turn meanwhile.
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
		ended := ctx.Err() != nil // perhaps at the moment of the turn
		r.queue.mu.Lock()
		now := clock.Now()
		switch {
		case ended || w.turn > now && w.last <= now:
			r.leave(w)
			r.queue.mu.Unlock()
			if ended {
				return context.Cause(ctx)
			}
			return r.rejected()
		case w.turn <= now:
			r.queue.remove(w)
			r.queue.mu.Unlock()
			return nil
		}
		w.timer.Reset(min(w.turn, w.last) - now) // another goroutine has moved the turn
		r.queue.mu.Unlock()
	}
}

// join takes a turn and enters the queue. Without a waiter the turn is now, or the error says why
// there is none.
func (r *Rate) join(ctx context.Context, b gcra.Bucket, cost time.Duration) (*waiter, error) {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	r.awake()
	for { // those who need not wait change the word without the lock
		old, now := r.tat.Load(), clock.Now()
		next, turn := b.Take(gcra.Tat(old), now, cost)
		last := r.last(ctx, now)
		if turn > max(now, last) {
			return nil, r.rejected()
		}
		if !r.tat.CompareAndSwap(old, int64(next)) {
			continue
		}
		if turn <= now {
			return nil, nil
		}
		w := &waiter{turn: turn, last: last, cost: cost, timer: time.NewTimer(turn - now)}
		r.queue.waiters = append(r.queue.waiters, w)
		return w, nil
	}
}

// last is the last instant at which a turn is of use: at the deadline it is of none.
func (r *Rate) last(ctx context.Context, now time.Duration) time.Duration {
	wait := min(max(r.Wait, 0), gcra.Most)
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-1)
	}
	return now + wait
}

// leave gives a waiter's turn to those behind it. The caller holds the queue's mu.
func (r *Rate) leave(w *waiter) {
	r.tat.Add(-int64(w.cost))
	r.queue.shift(r.queue.remove(w), -w.cost)
}

// allowance is what a server allows when its limit is unknown. The Rate's queue.mu guards it.
type allowance struct {
	left  float64
	until time.Duration
}

// takeKnown takes from what the last report left. Without a report everything passes, and so it
// does when the report's reset is over, until the next report.
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
			return r.rejected()
		}
		if !r.sleepUntilReset(ctx, a.until-now) {
			return context.Cause(ctx)
		}
	}
}

// sleepUntilReset releases the queue's mu, which the caller holds, for so long. False: the context
// has ended.
func (r *Rate) sleepUntilReset(ctx context.Context, d time.Duration) bool {
	r.queue.forReset++
	r.queue.mu.Unlock()
	defer func() {
		r.queue.mu.Lock()
		r.queue.forReset--
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
