package rebound

import (
	"context"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
)

// Try makes one attempt of l's call. It passes the policy's gates and breaker, calls fn under the
// policy's timeouts, and classifies the error for the gates and for [Loop.Decide]. It keeps no
// reference to fn.
//
// Try returns the error of fn. If fn was not called, it returns the reason: a gate's error, the
// context's cause, [PastElapsed], [Exhausted], or the error of an invalid policy.
func Try[T any](l *Loop, fn func(context.Context) (T, error)) (v T, err error) {
	l.tried, l.cut, l.reason, l.refusal = true, false, "", nil
	switch {
	case l.ctx.Err() != nil:
		return v, l.reject(l.ctx, Canceled, nil)
	case l.spent:
		return v, l.reject(l.ctx, Exhausted, nil)
	case l.Gate != nil || l.p.guarded():
		return guarded(l, fn)
	}
	l.begin()
	v, err = fn(l.ctx)
	l.classify(err, false)
	return v, err
}

// begin counts an attempt that is admitted.
func (l *Loop) begin() {
	l.attempt++
	l.retry = notAnnounced
}

// guarded makes one attempt of a policy with gates, a breaker or a timeout.
func guarded[T any](l *Loop, fn func(context.Context) (T, error)) (v T, err error) {
	if l.retry != notAnnounced {
		defer l.abandon()
	}
	if l.p.MaxElapsed > 0 {
		return bounded(l, fn)
	}
	return through(l, l.ctx, l.firstGate(), fn)
}

// bounded makes one attempt under MaxElapsed, which includes the time in its gates.
func bounded[T any](l *Loop, fn func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithDeadline(l.ctx, l.deadline())
	defer cancel()
	return through(l, ctx, l.firstGate(), fn)
}

// deadline is when MaxElapsed is over, on the real clock.
func (l *Loop) deadline() time.Time {
	if l.Elapsed != nil {
		return time.Now().Add(l.p.MaxElapsed - l.elapsed())
	}
	return l.began.at.Add(l.p.MaxElapsed - l.offset)
}

// abandon is deferred while gates run between a retry's charge and its attempt. If a gate ends in a
// panic or a Goexit, the retry does not take place, so its charge is returned.
func (l *Loop) abandon() {
	if l.reason == "" {
		l.returnCharge()
	}
}

// over returns why the attempt must not begin, or "". The call may have ended before the attempt,
// or while the attempt waited in a gate. MaxElapsed is compared with the clock too, because the
// context's timer may fire late.
func (l *Loop) over(ctx context.Context) Reason {
	switch {
	case ctx.Err() == nil && (!l.gated() || l.p.MaxElapsed == 0 ||
		l.elapsed() < l.p.MaxElapsed):
		return ""
	case l.ctx.Err() != nil:
		return Canceled
	}
	return PastElapsed
}

// ownGate is the index of the call's own gate. It comes before the policy's gates, whose indices
// begin at 0.
const ownGate = -1

// firstGate returns the index of the first gate.
func (l *Loop) firstGate() int {
	if l.Gate != nil {
		return ownGate
	}
	return 0
}

// gated reports whether attempts pass any gate.
func (l *Loop) gated() bool { return l.Gate != nil || len(l.p.Gates) > 0 }

// through makes one attempt behind the gates from index i on, the breaker last. It calls itself for
// each gate, so that passes are on the stack. A slice of passes would cost an allocation for each
// attempt.
func through[T any](
	l *Loop, ctx context.Context, i int, fn func(context.Context) (T, error),
) (v T, err error) {
	if i == len(l.p.Gates) {
		if r := l.over(ctx); r != "" {
			return v, l.reject(ctx, r, nil)
		}
		return withBreaker(l, ctx, fn)
	}
	g := l.Gate
	if i != ownGate {
		g = l.p.Gates[i]
	}
	if isNil(g) {
		return v, l.reject(ctx, Invalid, nil)
	}
	pass, err := g.Enter(ctx)
	if err != nil {
		return v, l.reject(ctx, Rejected, err)
	}
	left := false
	defer abandon(&left, g, pass)
	v, err = through(l, ctx, i+1, fn)
	left = true
	l.leave(g, pass)
	return v, err
}

// leave passes the outcome to a gate. It is not inlined, because an outcome takes much of a stack
// frame, and the frames of through nest.
//
//go:noinline
func (l *Loop) leave(g gate.Gate, pass gate.Pass) { g.Leave(pass, l.outcome()) }

func withBreaker[T any](
	l *Loop, ctx context.Context, fn func(context.Context) (T, error),
) (v T, err error) {
	b := l.p.Breaker
	if b == nil {
		return timed(l, ctx, fn)
	}
	pass, err := b.Enter(ctx)
	if err != nil {
		return v, l.reject(ctx, Rejected, err)
	}
	in := admitted{b, pass}
	defer in.abandon()
	v, err = timed(l, ctx, fn)
	in.leave(l.outcome())
	return v, err
}

// admitted is an attempt that a breaker has admitted and that has not left it.
type admitted struct {
	breaker *breaker.Breaker // nil once it has left
	pass    gate.Pass
}

func (in *admitted) leave(o gate.Outcome) {
	b := in.breaker
	in.breaker = nil
	b.Leave(in.pass, o)
}

// abandon is the deferred half of leave, for an attempt that ended in a panic or a Goexit.
func (in *admitted) abandon() {
	if in.breaker != nil {
		in.breaker.Leave(in.pass, gate.Outcome{})
	}
}

// abandon leaves a gate whose attempt ended in a panic or a runtime.Goexit. Deferring a plain
// function costs less than deferring a closure.
func abandon(left *bool, g gate.Gate, pass gate.Pass) {
	if !*left {
		g.Leave(pass, gate.Outcome{})
	}
}

// attemptStart returns the start of the attempt. The first attempt of Do begins with the call, for
// which the clock has already been read. A second look at the clock would cost as much as the rest
// of the attempt.
func (l *Loop) attemptStart() time.Time {
	if l.fresh && l.attempt == 1 && !l.gated() {
		return l.began.at
	}
	return time.Now()
}

// timed calls fn under AttemptTimeout, and under the end of ctx that MaxElapsed has set.
func timed[T any](
	l *Loop, ctx context.Context, fn func(context.Context) (T, error),
) (v T, err error) {
	l.begin()
	if l.p.AttemptTimeout <= 0 {
		v, err = fn(ctx)
		l.cut = ctx.Err() != nil
		l.classify(err, l.cut)
		return v, err
	}
	own, cancel := context.WithDeadline(ctx, l.attemptStart().Add(l.p.AttemptTimeout))
	defer cancel()
	v, err = fn(own)
	l.cut = ctx.Err() != nil
	l.classify(err, own.Err() != nil)
	return v, err
}

// reject records why an attempt was not admitted, and returns the error for it. The gates that had
// admitted it are left with the result Skipped.
func (l *Loop) reject(ctx context.Context, r Reason, err error) error {
	switch {
	case ended(l.ctx) != nil:
		r, err = Canceled, causeOf(l.ctx)
	case ctx.Err() != nil:
		r = PastElapsed
	case r == Invalid:
		_ = l.valid()
		err = l.invalid
	}
	l.reason, l.refusal = r, err
	l.result = gate.Skipped
	if err == nil {
		return r
	}
	return err
}
