package reboundredis

import (
	"context"
	"errors"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// book requests turns from Redis and returns the first. The context asked ends when ctx does, or
// earlier if Redis does not answer.
func (r *Rate) book(ctx, asked context.Context, b booking) (turn, error) {
	pass, err := r.redis().Enter(asked)
	if err != nil {
		return turn{}, errGone
	}
	o := gate.Outcome{} // of a panic in a Scripter
	defer func() { r.redis().Leave(pass, o) }()
	// The client may have no connection yet, so an attempt would wait for a handshake.
	if r.connecting.Load() {
		o.Result = gate.Skipped
		return turn{}, errGone
	}
	begun := time.Now()
	// Several turns, if this process leases in advance.
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

// connect makes the client connect in the background, because a handshake may take longer than
// Timeout every time. No attempt uses Redis in the meantime, since it would need a connection of
// its own.
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

// outcome is what an error means for the breaker around Redis. Any answer of Redis is a success for
// it. A missing answer proves nothing if there was too little time for one.
func outcome(err error, gone, early bool) gate.Outcome {
	switch {
	case !gone:
		return gate.Outcome{Result: gate.OK}
	case early && isTimeout(err), errors.Is(err, context.Canceled):
		return gate.Outcome{Result: gate.Skipped}
	}
	return gate.Outcome{Fault: fault.Fault{Kind: fault.Transient, Detail: "redis", Err: err}}
}

// longest is the longest wait that is useful now. A turn at the deadline itself is of no use.
func (r *Rate) longest(ctx context.Context) time.Duration {
	wait := r.Wait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-1)
	}
	return max(wait, 0)
}

// ended returns why there is no answer: the context has ended, or Redis is unavailable.
func (r *Rate) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errGone
}

// giveBack gives the turn of a canceled attempt to the next attempt of this process, or back to
// Redis. It does not wait for Redis.
func (r *Rate) giveBack(t turn) {
	if r.turns.give(t) {
		go r.returnTurns()
	}
}

// returnTurns gives turns back to Redis until no attempt gives back more. At most one goroutine
// runs it.
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
				// An error leaves open what Redis has done. A turn that both used would exceed the limit, so it
				// is lost.
				taken = len(all) // perhaps
			}
		}
		r.turns.keep(all[:len(all)-taken], taken)
	}
}
