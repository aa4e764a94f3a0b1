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

// Rate admits N attempts in each Per. All processes whose Rates have the same Key share this limit.
// An attempt that comes too early books its turn in Redis and waits for it. If the turn is later
// than Wait or the context's deadline, the attempt is rejected at once. The algorithm is that of
// [limit.Rate], on the clock of Redis.
//
// An attempt costs one round trip, except in these cases:
//
//   - If Redis answered less than a second ago that the limit has no room, the attempt is rejected
//     without a round trip.
//   - If Redis is unavailable, Local decides. One attempt waits for Timeout until Redis counts as
//     unavailable, and one attempt each second tries Redis again.
//   - If N is above 1000 per second, this process leases turns in advance: as many as it uses in 10
//     ms, and at most 100.
//
// A leased turn that is not used within 10 ms is lost. If an attempt's context ends while the
// attempt waits, its turn goes back to Redis. If a later turn has been booked, the next attempt of
// this process gets the turn instead.
//
// Rates with the same Key should have the same N, Per and Burst. They may differ for a time, for
// example during the rollout of a new version. Then each process counts by its own fields, and the
// fleet has at most the highest limit. A higher limit applies at once, because debt is counted in
// tokens.
//
// Client, Key, N, and Local or FailClosed must be set. Goroutines and policies may share a Rate.
// Once it is in use, do not copy it or change its fields.
type Rate struct {
	Name   string         // in errors and snapshots; "" = Key
	Client redis.Scripter // with MaxRetries -1 and ContextTimeoutEnabled: see Validate
	Key    string         // the key in Redis, for this limit alone
	N      float64        // tokens gained in each Per
	Per    time.Duration  // 0 = 1 s
	Burst  int            // tokens of a full bucket; 0 = 1, so that attempts are evenly spaced
	Wait   time.Duration  // longest wait for a turn; 0 = none

	// Timeout is the longest wait for an answer of Redis. An attempt waits for at most half of the
	// time until its deadline. 0 = 50 ms.
	Timeout time.Duration

	// Local is this process's share of the limit: N / processes. It decides while Redis is
	// unavailable. Attempts that Redis admits take tokens from Local too, so that its bucket is not
	// full when it takes over. No other Rate may use it.
	Local *limit.Rate

	// FailClosed rejects every attempt while Redis is unavailable, with an error that matches
	// [ErrUnavailable]. Use it for limits that protect against attackers. Local must then be nil.
	FailClosed bool

	// Breaker guards the use of Redis. It is open while Redis is unavailable, which its OnChange and
	// Snapshot show. Rates with the same Redis may share it. Nil = a breaker that one failure opens
	// for a second.
	Breaker *breaker.Breaker

	once     sync.Once
	invalid  error
	own      breaker.Breaker // if Breaker is nil
	full     *limit.Error    // the one rejection
	gone     *Error          // the one rejection of FailClosed
	rejected atomic.Uint64

	connecting atomic.Bool
	leasing    chan struct{} // holds a value while an attempt books turns for all
	turns      turns
	waiting    atomic.Int64
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
// If Take returns an error, it has taken nothing. The error is one of these:
//
//   - a [*limit.Error], at once, if the turn is later than Wait or the context's deadline
//   - the context's cause, if the context ends first
//   - an [*Error], if Redis rejects the limit's commands, or is unavailable and FailClosed is set
//   - the error of Validate, or an error if n is negative, infinite or not a number
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

// turn returns a turn that is booked now, or was booked before. The error is errGone if Redis is
// unavailable.
func (r *Rate) turn(ctx context.Context, b booking) (turn, error) {
	now, longest := time.Now(), r.longest(ctx)
	if t, ok := r.turns.take(b, now, longest); ok {
		return t, nil
	}
	// A rejection without a round trip matters most while the limit has no room.
	if r.turns.room(b, now) > longest && r.redis().Refusal(0) == nil {
		return turn{}, r.reject()
	}
	asked, cancel := context.WithTimeout(ctx, r.timeout(ctx))
	defer cancel()
	// One attempt at a time books turns for all. The others wait for it, at most as long as for Redis.
	if b.leases {
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

// warm takes the tokens that Redis has admitted from this process's own share, if there is a share.
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

// wait sleeps for d, or until ctx ends. In the meantime it counts the attempt as waiting.
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

// Refusal returns the error that Enter would return after a delay of d, judged by the state now, or
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

// Snapshot returns the state of the limit now, computed from the last answer of Redis to this
// process. Waiting and Rejected count only this process's attempts.
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

// room returns the time until an attempt would get a turn, or 0 if it is unknown.
func (r *Rate) room() time.Duration { return r.turns.room(r.booking(1), time.Now()) }

// reject counts a rejection and returns its error.
func (r *Rate) reject() error {
	r.rejected.Add(1)
	return r.full
}
