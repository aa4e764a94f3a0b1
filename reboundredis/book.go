package reboundredis

import (
	"context"
	"errors"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// book asks Redis for turns, and returns the first. The context asked ends when ctx does, or
// earlier because Redis does not answer.
func (r *Rate) book(ctx, asked context.Context, b booking) (turn, error) {
	pass, err := r.redis().Enter(asked)
	if err != nil {
		return turn{}, errGone
	}
	o := gate.Outcome{} // of a panic in a Scripter
	defer func() { r.redis().Leave(pass, o) }()
	if r.connecting.Load() {
		o.Result = gate.Skipped
		return turn{}, errGone
	}
	begun := time.Now()
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
		return turn{}, r.rejected()
	}
	return first, nil
}

// connect makes the client connect, on no attempt's way: a handshake may take longer than Timeout,
// again and again. No attempt asks Redis meanwhile, or it would need a connection of its own.
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

// outcome is what the breaker around Redis learns from an error. An answer is one, whatever it
// says. No answer within a time that was too short for one proves nothing.
func outcome(err error, gone, early bool) gate.Outcome {
	switch {
	case !gone:
		return gate.Outcome{Result: gate.OK}
	case early && isTimeout(err), errors.Is(err, context.Canceled):
		return gate.Outcome{Result: gate.Skipped}
	}
	return gate.Outcome{Fault: fault.Fault{Kind: fault.Transient, Detail: "redis", Err: err}}
}

// longest is the longest wait that is of use now. At the deadline a turn is of none.
func (r *Rate) longest(ctx context.Context) time.Duration {
	wait := r.Wait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-1)
	}
	return max(wait, 0)
}

// ended returns why Redis has not answered: the context has ended, or Redis is gone.
func (r *Rate) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errGone
}

// giveBack gives the turn of an attempt that was canceled to the next one of this process, or back
// to Redis. It does not wait for Redis.
func (r *Rate) giveBack(t turn) {
	if r.turns.give(t) {
		go r.returnTurns()
	}
}

// returnTurns gives back to Redis what it takes, until no attempt gives more.
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
				taken = len(all) // perhaps
			}
		}
		r.turns.keep(all[:len(all)-taken], taken)
	}
}
