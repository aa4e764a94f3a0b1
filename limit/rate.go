package limit

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/clock"
	"github.com/rebound-go/rebound/internal/gcra"
)

// Rate admits N attempts in each Per. An attempt that comes too early waits for its turn. If the
// turn is later than Wait or the context's deadline, the attempt is rejected at once.
//
// The zero Rate has no limit and admits everything until [Rate.Learn] reports one. Goroutines and
// policies may share a Rate. Once it is in use, do not copy it or change its fields.
//
// The algorithm is GCRA, the generic cell rate algorithm: a token bucket without a timer. The
// bucket holds Burst tokens when full, and gains one every Per / N.
type Rate struct {
	// Name is the limit's name in errors and snapshots.
	Name string

	// N is the number of tokens gained in each Per. 0 = unknown.
	N float64

	// Per is the period of N. 0 = 1 s.
	Per time.Duration

	// Burst is the number of tokens in a full bucket. 0 = 1, so that attempts are evenly spaced.
	Burst int

	// Wait is the longest time that an attempt waits for its turn. 0 = none.
	Wait time.Duration

	tat      atomic.Int64 // a gcra.Tat, which includes the turns of the queue
	queue    rateQueue
	known    atomic.Pointer[allowance] // what Learn reported last, if N is 0
	rejected atomic.Uint64
	err      atomic.Pointer[Error]
	wake     func()                      // of a Group: see awake
	cached   atomic.Pointer[gcra.Bucket] // see bucket
}

// Enter takes one token, as [Rate.Take] does.
func (r *Rate) Enter(ctx context.Context) (gate.Pass, error) {
	return gate.Pass{}, r.Take(ctx, 1)
}

// Leave does nothing, because every admitted attempt uses its token.
func (r *Rate) Leave(gate.Pass, gate.Outcome) {}

// Take waits for its turn and takes n tokens. A token may stand for an attempt, a byte of a request
// or a token of a prompt. If n is more than Burst, the turn comes when the bucket is full.
//
// If Take returns an error, it has taken nothing. It returns an [*Error] at once if the turn is
// later than Wait or the context's deadline. It returns the context's cause if the context ends
// first. An n that is negative, infinite or not a number is an error.
func (r *Rate) Take(ctx context.Context, n float64) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !finite(n) || n < 0:
		return fmt.Errorf("%s: n is %v: want 0 or more", titled("rate", r.Name), n)
	case !(r.N > 0):
		return r.takeKnown(ctx, n)
	}
	b := r.bucket()
	cost := b.Cost(n)
	for {
		old, now := r.tat.Load(), clock.Now()
		next, turn := b.Take(gcra.Tat(old), now, cost)
		if turn > now {
			return r.book(ctx, b, cost)
		}
		if r.tat.CompareAndSwap(old, int64(next)) {
			return nil
		}
	}
}

// Debit takes n tokens without waiting. It may leave a debt, which delays later attempts. Use it if
// an attempt has used more tokens than it took. A negative n gives tokens back. An n that is
// infinite or not a number changes nothing.
func (r *Rate) Debit(n float64) {
	if !finite(n) {
		return
	}
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	r.awake()
	if !(r.N > 0) {
		if a := r.known.Load(); a != nil {
			a.left -= n
		}
		return
	}
	r.move(r.bucket().Cost(n))
	r.watch()
}

// Learn lowers the level to what the server reports: that many tokens remain, and there are no more
// before reset. It never raises the level, because a report that arrives late is out of date. If N
// is 0, Learn also sets the limit: the remaining tokens, until reset. A remaining that is infinite
// or not a number changes nothing.
func (r *Rate) Learn(remaining float64, reset time.Duration) {
	if !finite(remaining) {
		return
	}
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	r.awake()
	now := clock.Now()
	if !(r.N > 0) {
		until := now + min(reset, gcra.Most)
		if a := r.known.Load(); a == nil || a.until <= now {
			r.known.Store(&allowance{left: remaining, until: until})
		} else if remaining <= a.left {
			a.left, a.until = remaining, max(a.until, until)
		}
		return
	}
	for {
		old := r.tat.Load()
		later := r.bucket().Floor(now, remaining, reset) + r.queue.booked - time.Duration(old)
		if later <= 0 {
			return
		}
		if r.tat.CompareAndSwap(old, old+int64(later)) {
			return // a waiter gets its new turn when its timer fires
		}
	}
}

// Refusal returns the [*Error] that Enter would return after a delay of d, judged by the state now,
// or nil.
func (r *Rate) Refusal(d time.Duration) error { return r.RefusalN(d, 1) }

// RefusalN is [Rate.Refusal] for a Take of n tokens.
func (r *Rate) RefusalN(d time.Duration, n float64) error {
	if r.room(n)-d > r.Wait {
		return r.rejection()
	}
	return nil
}

// Busy reports whether a new Rate would admit more now: tokens are missing, callers wait, or an
// allowance that Learn has set is not over.
func (r *Rate) Busy() bool {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	return r.busy()
}

// Snapshot returns the state of the limit now.
func (r *Rate) Snapshot() Snapshot {
	s := Snapshot{Name: r.Name, Kind: "rate", Rejected: r.rejected.Load()}
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	s.Waiting = r.queue.waiters.Len() + r.queue.forReset
	if r.N > 0 {
		s.Limit = min(r.N/r.period().Seconds(), math.MaxFloat64)
		s.Level = r.bucket().Level(r.word(), clock.Now())
	} else if a := r.known.Load(); a != nil && a.until > clock.Now() {
		s.Level = a.left
	}
	return s
}

// Validate returns an error that names the first invalid field and its valid values, or nil.
func (r *Rate) Validate() error {
	switch {
	case !finite(r.N) || r.N < 0:
		return invalid("Rate", r.Name, "N", r.N, "more than 0, or 0 if the limit is unknown")
	case r.Per < 0:
		return invalid("Rate", r.Name, "Per", r.Per, "more than 0, or 0 for 1s")
	case r.Burst < 0:
		return invalid("Rate", r.Name, "Burst", r.Burst, "1 or more, or 0 for 1")
	case r.Wait < 0:
		return invalid("Rate", r.Name, "Wait", r.Wait, "0 or more")
	}
	return nil
}

// bucket is computed once. Its division takes as long as the rest of Take without the clock.
func (r *Rate) bucket() gcra.Bucket {
	if b := r.cached.Load(); b != nil {
		return *b
	}
	b := gcra.New(r.N, r.period(), float64(max(r.Burst, 1)))
	r.cached.Store(&b)
	return b
}

func (r *Rate) period() time.Duration {
	if r.Per <= 0 {
		return defaultPer
	}
	return r.Per
}

// move books a cost at once, without a turn. The caller holds the queue's mu.
func (r *Rate) move(cost time.Duration) {
	for {
		old := r.tat.Load()
		next := gcra.Debit(gcra.Tat(old), clock.Now(), r.queue.booked, cost)
		if r.tat.CompareAndSwap(old, int64(next)) {
			return
		}
	}
}

// room returns the time until an attempt would find n tokens.
func (r *Rate) room(n float64) time.Duration {
	now := clock.Now()
	if !(r.N > 0) {
		r.queue.mu.Lock()
		defer r.queue.mu.Unlock()
		if a := r.known.Load(); a != nil && a.left < n {
			return a.until - now
		}
		return 0
	}
	b := r.bucket()
	_, turn := b.Take(r.word(), now, b.Cost(n))
	return turn - now
}

// reject counts a rejection and returns its error.
func (r *Rate) reject() error {
	r.rejected.Add(1)
	return r.rejection()
}

// rejection returns the limit's one Error, so that many rejections allocate nothing.
func (r *Rate) rejection() error {
	if e := r.err.Load(); e != nil {
		return e
	}
	detail := "as the server reported"
	if r.N > 0 {
		detail = fmt.Sprintf("%v per %v", r.N, r.period())
	}
	r.err.CompareAndSwap(nil, RateError(r.Name, detail, func() time.Duration { return r.room(1) }))
	return r.err.Load()
}
