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

// Rate lets N attempts pass in each Per. An attempt that comes too early waits for its turn, if
// that is within Wait and before the context's deadline. Any other is rejected at once.
//
// The zero Rate knows no limit and lets everything pass until [Rate.Learn] reports one. A Rate may
// be shared by goroutines and by policies. It must not be copied, nor its fields changed, once in
// use.
//
// The algorithm is GCRA, which is a token bucket without a timer: Burst tokens when full, and one
// more each Per / N.
type Rate struct {
	Name  string        // in errors and snapshots
	N     float64       // tokens gained in each Per; 0 = unknown
	Per   time.Duration // 0 = 1 s
	Burst int           // tokens of a full bucket; 0 = 1, which spaces attempts evenly
	Wait  time.Duration // longest wait for a turn; 0 = none

	tat     atomic.Int64 // a gcra.Tat, which includes the turns of the queue
	queue   rateQueue
	known   atomic.Pointer[allowance] // what Learn reported last, if N is 0
	refused atomic.Uint64
	err     atomic.Pointer[Error]
	wake    func()                      // of a Group: see awake
	cached  atomic.Pointer[gcra.Bucket] // see bucket
}

// Enter takes one token, as [Rate.Take] does.
func (r *Rate) Enter(ctx context.Context) (gate.Pass, error) {
	return gate.Pass{}, r.Take(ctx, 1)
}

// Leave does nothing. An attempt's token is not given back.
func (r *Rate) Leave(gate.Pass, gate.Outcome) {}

// Take takes n tokens, such as the bytes of a request or the tokens of a prompt. It waits for its
// turn. If n is more than Burst, the turn is when the bucket is full.
//
// Take returns an [*Error] at once if the turn is later than Wait or the context's deadline. It
// returns the context's cause if the context ends first. In both cases it has taken nothing. An n
// that is negative, infinite or no number is an error.
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

// Debit takes n tokens without waiting, and may leave a debt that later attempts wait for. It is
// for what an attempt used beyond the tokens taken before. A negative n gives tokens back. An n
// that is infinite or no number changes nothing.
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

// Learn lowers the level to what the server reports: so many tokens remain, and there are no more
// before reset. It never raises the level, as the report of an older answer would. While N is 0,
// Learn also sets the limit: the tokens that remain, until reset. A remaining that is infinite or
// no number changes nothing.
func (r *Rate) Learn(remaining float64, reset time.Duration) {
	if !finite(remaining) {
		return
	}
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	r.awake()
	now := clock.Now()
	if !(r.N > 0) {
		until := now + min(max(reset, 0), gcra.Most)
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
			return // a waiter finds out at its former turn
		}
	}
}

// Refusal returns the [*Error] that Enter would return after a delay of d, as far as that is known
// now, or else nil.
func (r *Rate) Refusal(d time.Duration) error {
	if r.room()-d > r.Wait {
		return r.refuse()
	}
	return nil
}

// Snapshot returns the state of the limit now.
func (r *Rate) Snapshot() Snapshot {
	s := Snapshot{Name: r.Name, Kind: "rate", Refused: r.refused.Load()}
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

// Validate returns an error that names the first field that is negative, infinite, or no number.
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

// bucket is computed once. Its division would take as long as everything else in Take but the
// clock.
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

// move books cost without asking for a turn. The caller holds the queue's mu.
func (r *Rate) move(cost time.Duration) {
	for {
		old := r.tat.Load()
		next := gcra.Debit(gcra.Tat(old), clock.Now(), r.queue.booked, cost)
		if r.tat.CompareAndSwap(old, int64(next)) {
			return
		}
	}
}

// room returns the time until an attempt would find its token.
func (r *Rate) room() time.Duration {
	now := clock.Now()
	if !(r.N > 0) {
		r.queue.mu.Lock()
		defer r.queue.mu.Unlock()
		if a := r.known.Load(); a != nil && a.left < 1 {
			return a.until - now
		}
		return 0
	}
	b := r.bucket()
	_, turn := b.Take(r.word(), now, b.Cost(1))
	return turn - now
}

// rejected counts a rejection and returns its error.
func (r *Rate) rejected() error {
	r.refused.Add(1)
	return r.refuse()
}

// refuse returns the one Error of the limit, so that a storm of rejections allocates nothing.
func (r *Rate) refuse() error {
	if e := r.err.Load(); e != nil {
		return e
	}
	detail := "as the server reported"
	if r.N > 0 {
		detail = fmt.Sprintf("%v per %v", r.N, r.period())
	}
	r.err.CompareAndSwap(nil, RateError(r.Name, detail, r.room))
	return r.err.Load()
}
