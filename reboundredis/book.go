package reboundredis

import (
	"context"
	"errors"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// book requests turns from Redis and returns the first. The context asked bounds the request: it
// ends with ctx, or after the timeout for Redis.
func (r *Rate) book(ctx, asked context.Context, b booking) (turn, error) {
	pass, err := r.redis().Enter(asked)
	if err != nil {
		return turn{}, errGone
	}
	o := gate.Outcome{} // stays after a panic in a Scripter
	defer func() { r.redis().Leave(pass, o) }()
	// The client may have no connection yet. Then an attempt would wait for a handshake.
	if r.connecting.Load() {
		o.Result = gate.Skipped
		return turn{}, errGone
	}
	begun := time.Now()
	// The count is above 1 if this process leases turns in advance.
	count := r.turns.count(b, begun)
	a, err := r.store().book(asked, b, count, r.longest(ctx))
	if err != nil {
		gone := unavailable(r.Client, err)
		o = outcome(err, gone, time.Since(begun) < r.least())
		if o.Result == gate.Failed {
			r.connect()
		}
		if gone {
			return turn{}, r.ended(ctx)
		}
		return turn{}, &Error{Name: "rate " + r.name(), Err: err}
	}
	o.Result = gate.OK
	first := r.turns.learn(b, count, a, begun, time.Now())
	if !a.booked {
		return turn{}, r.reject()
	}
	return first, nil
}

// connect makes the client connect in the background, because every handshake may take longer than
// Timeout. No attempt uses Redis in the meantime, because it would need its own handshake.
func (r *Rate) connect() {
	if !r.connecting.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer r.connecting.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), handshake)
		defer cancel()
		_ = bookScript.Load(ctx, r.Client)
	}()
}

// outcome returns what an error means for the breaker around Redis. Any answer of Redis is a
// success. A missing answer proves nothing if Redis had too little time.
func outcome(err error, gone, early bool) gate.Outcome {
	switch {
	case !gone:
		return gate.Outcome{Result: gate.OK}
	case early && isTimeout(err), errors.Is(err, context.Canceled):
		return gate.Outcome{Result: gate.Skipped}
	}
	return gate.Outcome{Fault: fault.Fault{Kind: fault.Transient, Detail: "redis", Err: err}}
}

// longest returns the longest useful wait. A turn at the deadline itself is too late.
func (r *Rate) longest(ctx context.Context) time.Duration {
	wait := r.Wait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-1)
	}
	return max(wait, 0)
}

// ended returns why there is no answer: the context's cause if the context has ended, or errGone.
func (r *Rate) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errGone
}

// giveBack gives the turn of a canceled attempt back to Redis, or to the next attempt of this
// process. It does not wait for Redis.
func (r *Rate) giveBack(t turn) {
	if r.turns.give(t) {
		go r.returnTurns()
	}
}

// returnTurns gives turns back to Redis until there are no more. At most one goroutine runs it.
func (r *Rate) returnTurns() {
	for {
		all, ok := r.turns.offer(time.Now())
		if !ok {
			return
		}
		taken := 0
		if len(all) > 0 && r.redis().Refusal(0) == nil {
			var err error
			ctx, cancel := context.WithTimeout(context.Background(), r.timeout(context.Background()))
			taken, err = r.store().giveBack(ctx, all)
			cancel()
			if err != nil {
				// After an error, Redis may have taken the turns. If they were used here as well, the fleet
				// would exceed its limit. So they are lost.
				taken = len(all) // it may have
			}
		}
		r.turns.keep(all[:len(all)-taken], taken)
	}
}
