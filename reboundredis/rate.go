package reboundredis

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// Rate admits N attempts in each Per, over all processes whose Rates have the same Key. An attempt
// that comes too early books its turn in Redis and waits for it, if the turn is within Wait and
// before the context's deadline. All others are rejected at once. The algorithm is that of
// [limit.Rate], on the clock of Redis.
//
// An attempt costs one round trip, except in these cases:
//
//   - The limit is known to have no room. Redis is asked again after at most a second.
//   - Redis is unavailable. One attempt waits for Timeout to find that out, and one attempt each
//     second tries again. Local decides meanwhile.
//   - N is above 1000 per second, and this process takes a good part of it. It then leases turns in
//     advance: as many as it uses, at most those of 10 ms, and at most 100.
//
// A leased turn that is not used within 10 ms is lost. If an attempt's context ends while it waits,
// its turn goes to the next attempt of this process, or back to Redis if none was booked since.
//
// Rates with the same Key should have the same N, Per and Burst. While they differ, for example
// during the rollout of a new version, each process counts by its own fields, and the fleet has at
// most the highest limit. A higher limit applies at once, because Redis stores the tokens taken,
// not the time that they took under the old limit.
//
// Goroutines and policies may share a Rate. It must not be copied, nor its fields changed, once in
// use. Client, Key, N, and Local or FailClosed must be set.
type Rate struct {
	Name   string         // in errors and snapshots; "" = Key
	Client redis.Scripter // with MaxRetries -1 and ContextTimeoutEnabled; see Validate
	Key    string         // in Redis, of this limit alone; see below
	N      float64        // tokens gained in each Per
	Per    time.Duration  // 0 = 1 s
	Burst  int            // tokens of a full bucket; 0 = 1, which spaces attempts evenly
	Wait   time.Duration  // longest wait for a turn; 0 = none

	// Timeout is the longest wait for Redis. If an attempt's deadline is less than twice that away,
	// the attempt waits for half of its time. 0 = 50 ms.
	Timeout time.Duration

	// Local is this process's share of the limit, N / processes, which decides while Redis is
	// unavailable. What Redis admits is taken from Local too, so that its bucket is not full when it
	// takes over. It must belong to this Rate alone.
	Local *limit.Rate

	// FailClosed rejects every attempt while Redis is unavailable, with an error that matches
	// [ErrUnavailable]. It is for limits that protect against attackers. Local must then be nil.
	FailClosed bool

	// Breaker stands around Redis. It is open while Redis is unavailable, so its OnChange and Snapshot
	// show that. It may be shared by Rates with the same Redis. Nil = one that a single failure opens
	// for a second.
	Breaker *breaker.Breaker

	once     sync.Once
	invalid  error
	own      breaker.Breaker // if Breaker is nil
	full     *limit.Error    // the one rejection
	gone     *Error          // the one rejection of FailClosed
	rejected atomic.Uint64

	connecting atomic.Bool
	leasing    chan struct{} // holds a value while some attempt books turns for all
	turns      turns
	waiting    atomic.Int64
}

// Enter takes one token, as [Rate.Take] does.
func (r *Rate) Enter(ctx context.Context) (gate.Pass, error) {
	return gate.Pass{}, r.Take(ctx, 1)
}

// Leave does nothing: the token of an attempt is used, whatever its outcome.
func (r *Rate) Leave(gate.Pass, gate.Outcome) {}

// Take takes n tokens, such as the bytes of a request or the tokens of a prompt, and waits for its
// turn. If n is more than Burst, its turn comes when the bucket is full.
//
// Take returns one of these errors, and has then taken nothing:
//
//   - a [*limit.Error], at once, if the turn is later than Wait allows or than the context's
//     deadline
//   - the context's cause, if the context ends first
//   - an [*Error], if Redis rejects the limit's commands, or is unavailable and FailClosed is set
//   - the error of Validate, or one about an n that is negative, infinite or not a number
func (r *Rate) Take(ctx context.Context, n float64) error {
	if err := r.ready(); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !finite(n) || n < 0:
		return fmt.Errorf("rate %s: n is %v: want 0 or more", r.name(), n)
	}
	b := r.booking(n)
	t, err := r.turn(ctx, b)
	switch {
	case err == errGone:
		return r.takeLocal(ctx, n)
	case err != nil:
		return err
	}
	return r.await(ctx, t)
}

// turn returns a turn for an attempt, booked now or before. The error is errGone if Redis is
// unavailable.
func (r *Rate) turn(ctx context.Context, b booking) (turn, error) {
	now, longest := time.Now(), r.longest(ctx)
	if t, ok := r.turns.take(b, now, longest); ok {
		return t, nil
	}
	// Known without a round trip, which matters most while the limit has no room.
	if r.turns.room(b, now) > longest && r.redis().Refusal(0) == nil {
		return turn{}, r.reject()
	}
	asked, cancel := context.WithTimeout(ctx, r.timeout(ctx))
	defer cancel()
	// One attempt at a time books turns for all. The others wait for it, but not longer than for
	// Redis.
	if b.leases { // one attempt books turns for all
		select {
		case r.leasing <- struct{}{}:
			defer func() { <-r.leasing }()
		case <-asked.Done():
			return turn{}, r.ended(ctx)
		}
		if t, ok := r.turns.take(b, time.Now(), r.longest(ctx)); ok {
			return t, nil
		}
	}
	return r.book(ctx, asked, b)
}

// takeLocal takes tokens from this process's own share.
func (r *Rate) takeLocal(ctx context.Context, n float64) error {
	if r.FailClosed {
		r.rejected.Add(1)
		return r.gone
	}
	err := r.Local.Take(ctx, n)
	if err != nil && ctx.Err() == nil {
		r.rejected.Add(1)
	}
	return err
}

// warm takes what Redis has admitted from this process's own share, as far as there is any.
func (r *Rate) warm(n float64) {
	if r.Local != nil {
		r.Local.Learn(r.Local.Snapshot().Level-n, 0)
	}
}

// await waits for a turn. If the context ends first, the turn is given back.
func (r *Rate) await(ctx context.Context, t turn) error {
	if d := time.Until(t.at); d > 0 {
		r.wait(ctx, d)
	}
	if ctx.Err() != nil {
		r.giveBack(t)
		return context.Cause(ctx)
	}
	r.warm(t.n)
	return nil
}

// wait sleeps for d, or until ctx ends, and counts the attempt as waiting meanwhile.
func (r *Rate) wait(ctx context.Context, d time.Duration) {
	r.waiting.Add(1)
	defer r.waiting.Add(-1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Refusal returns the error that Enter would return after a delay of d, as far as is known now, or
// nil.
func (r *Rate) Refusal(d time.Duration) error {
	if err := r.ready(); err != nil {
		return err
	}
	switch {
	case r.redis().Refusal(d) == nil:
		if r.room()-d > r.Wait {
			return r.full
		}
		return nil
	case r.FailClosed:
		return r.gone
	}
	return r.Local.Refusal(d)
}

// Snapshot returns the state of the limit now, as far as this process knows it from Redis's last
// answer. Waiting and Rejected count this process's attempts.
func (r *Rate) Snapshot() limit.Snapshot {
	s := limit.Snapshot{Name: r.name(), Kind: "rate", Rejected: r.rejected.Load()}
	if r.ready() != nil {
		return s
	}
	s.Waiting = int(r.waiting.Load())
	s.Limit = min(r.N/r.per().Seconds(), math.MaxFloat64)
	s.Level = r.burst() - float64(r.turns.debt(time.Now()))/r.gap()
	return s
}

// room returns the time until an attempt would get a turn, as far as is known.
func (r *Rate) room() time.Duration { return r.turns.room(r.booking(1), time.Now()) }

// reject counts a rejection and returns its error.
func (r *Rate) reject() error {
	r.rejected.Add(1)
	return r.full
}
