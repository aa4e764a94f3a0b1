package rebound

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// Loop is the retry loop of one call, for code that cannot be a function given to [Do]: a job
// engine, a chain of models, a virtual clock. Do, [Attempts], reboundtest.Do and llm.Fallback are
// built on it. Call its methods in this order:
//
//	l := rebound.Begin(ctx, policy)
//	for {
//		v, err := rebound.Try(&l, fn)
//		if err == nil {
//			l.Succeed()
//			return v, nil
//		}
//		d := l.Decide(err)
//		if !d.Retry {
//			return v, l.Stop(d.Reason, nil)
//		}
//		if err := l.Retry(d.Delay); err != nil {
//			return v, err
//		}
//	}
//
// A Loop costs no allocation. It serves one call on one goroutine, and ends with Succeed, Stop, or
// an error of Retry. Make it with [Begin] or [Resume]. Set its fields before the first attempt.
type Loop struct {
	// Sleep returns after d, or as soon as ctx ends. Nil = a timer, or no sleep if d is 0.
	Sleep func(ctx context.Context, d time.Duration)
	// U returns the random number for the next delay's jitter: in [0, 1), or below 0 for a delay
	// without jitter. Nil = rand.Float64.
	U func() float64
	// Elapsed returns the time since the loop began, on a virtual clock. Nil = the monotonic
	// clock. A context's deadline is always compared with the real clock.
	Elapsed func() time.Duration
	// Gate admits the attempts of this call, before the policy's Gates. Nil = none.
	Gate gate.Gate

	ctx     context.Context
	p       *Policy
	attempt int           // attempts begun
	offset  time.Duration // elapsed when the loop was resumed
	began   start         // if the call is timed
	fresh   bool          // it began just now
	prev    time.Duration // the delay before this attempt
	decided time.Duration // the delay that Decide returned last
	fault   fault.Fault   // of the last attempt that failed
	last    error         // its error
	refusal error         // what rejected this attempt
	invalid error         // what Validate returned
	reason  Reason        // why this attempt was rejected; empty if it was admitted
	result  gate.Result   // of this attempt
	durable bool          // see State.Durable
	checked bool          // Validate was called
	tried   bool          // Try has made an attempt that Decide has not seen
	met     fault.Kind    // what this attempt's failure means to its gates
	cut     bool          // MaxElapsed ended this attempt
	late    bool          // this attempt's own context ended
	left    bool          // the body of an Attempts loop has left it
	spent   bool          // resumed without an attempt left
	retry   charge        // of a retry that was announced and has not begun
}

// Begin returns the loop of a call by p under ctx. A nil p is the zero Policy that [Do] uses.
func Begin(ctx context.Context, p *Policy) Loop {
	if p == nil {
		p = &shared
	}
	return Loop{ctx: ctx, p: p, began: startOf(p)}
}

// Resume returns the loop of a call that has already failed s.Attempt times, perhaps in another
// process. If no attempt is left, [Try] returns [Exhausted]. The elapsed time begins at s.Elapsed.
// s.Prev and s.Durable are as in [Policy.Decide]. s.Left and s.U are ignored. With s.Durable, ctx
// belongs to one attempt, as in job engines, so its deadline bounds no delay.
func Resume(ctx context.Context, p *Policy, s State) Loop {
	l := Begin(ctx, p)
	l.attempt, l.offset, l.prev, l.durable = max(s.Attempt, 0), s.Elapsed, s.Prev, s.Durable
	l.spent = l.p.exhausted(s.Attempt)
	return l
}

// State returns the input with which [Resume] continues the call. Call it after [Loop.Retry].
func (l *Loop) State() State {
	return State{Attempt: l.attempt, Elapsed: l.elapsed(), Prev: l.prev, Durable: l.durable}
}

// Fault returns what the last failed attempt means, or the zero Fault if none has failed.
func (l *Loop) Fault() fault.Fault { return l.fault }

// elapsed is the time since the call began, or 0 if the policy has no use for a clock.
func (l *Loop) elapsed() time.Duration {
	switch {
	case l.Elapsed != nil:
		return l.offset + l.Elapsed()
	case l.p.timed():
		return l.offset + l.began.ago()
	}
	return l.offset
}

// Decide returns what follows the attempt that ended with err. It classifies err, unless [Try] has
// done so, and calls [Policy.Decide]. At the first failure it also validates the policy. err may
// wrap the error of Try, or be another error, such as that of a check. A nil err is a success,
// which is not retried.
func (l *Loop) Decide(err error) Decision {
	switch {
	case err == nil:
		return Decision{Reason: NotRetryable}
	case !l.tried:
		l.begin()
		l.classify(err, false)
	case l.reason == "" && (l.result == gate.OK || !same(err, l.last)):
		l.classify(err, l.late)
	}
	return l.decide(err)
}

// decide is Decide for the error that was classified last.
func (l *Loop) decide(err error) Decision {
	l.tried, l.decided = false, -1
	if l.U == nil {
		l.U = rand.Float64
	}
	switch {
	case l.reason == Rejected && l.durable:
		s := State{Attempt: l.attempt + 1, Prev: l.prev, U: l.U(), Durable: true}
		return Decision{Reason: Rejected, Delay: l.p.rejectedDelay(&s, l.refusal)}
	case l.reason != "":
		return Decision{Reason: l.reason}
	case l.left:
		return Decision{Reason: NotRetryable}
	case err == ErrUnset || !l.valid():
		return Decision{Reason: Invalid}
	case l.cut && l.fault.Kind == fault.Transient:
		return Decision{Reason: PastElapsed}
	}
	s := State{Attempt: l.attempt, Prev: l.prev, U: l.U(), Durable: l.durable}
	l.clock(&s)
	d := l.p.decide(&s, &l.fault)
	if d.Retry {
		l.decided = d.Delay
	}
	return d
}

// valid validates the policy once.
func (l *Loop) valid() bool {
	if !l.checked {
		l.checked, l.invalid = true, l.p.validated()
	}
	return l.invalid == nil
}

// clock sets the times in s that p depends on.
func (l *Loop) clock(s *State) {
	if l.p.MaxElapsed > 0 {
		s.Elapsed = l.elapsed()
	}
	if deadline, ok := l.ctx.Deadline(); ok && !l.durable {
		s.Left = max(time.Until(deadline), 1)
	}
}

// Retry prepares the next attempt: it asks the breaker and the gates for a Refusal after delay,
// charges the budget, reports the event and sleeps. It returns nil when the attempt is due, or the
// [*Error] that ends the call. A second Retry before the attempt only sleeps.
func (l *Loop) Retry(delay time.Duration) error { return l.next(delay, charged) }

// Redirect is Retry for an attempt elsewhere, such as with another replica or model. It does not
// charge the budget, which protects the service that failed.
func (l *Loop) Redirect(delay time.Duration) error { return l.next(delay, free) }

func (l *Loop) next(delay time.Duration, c charge) error {
	if delay > l.decided { // Decide has not compared this delay with the time left
		var s State
		l.clock(&s)
		if reason := l.p.past(&s, delay); reason != "" {
			return l.Stop(reason, nil)
		}
	}
	if refusal := l.p.refusal(delay, l.Gate); refusal != nil {
		return l.Stop(Rejected, refusal)
	}
	before := l.retry
	switch {
	case c == charged && before != charged:
		if refusal := l.p.takeRetry(l.fault.Kind); refusal != nil {
			return l.Stop(OutOfBudget, refusal)
		}
	case c == free:
		l.returnCharge()
	}
	l.retry = c
	if !l.wait(delay, before == notAnnounced) {
		return l.Stop(Canceled, nil)
	}
	l.prev = delay
	return nil
}

// Announce reports the event of a retry that a job engine makes later. It charges no budget.
func (l *Loop) Announce(delay time.Duration) {
	if l.p.Observe != nil {
		l.event(Event{Kind: Retrying, Fault: l.fault, Err: l.last, Delay: delay})
	}
}

// wait returns false if the caller's context has ended. A panic or a Goexit returns the charge.
func (l *Loop) wait(delay time.Duration, announce bool) (due bool) {
	done := false
	defer func() {
		if !done {
			l.returnCharge()
		}
	}()
	if announce {
		l.Announce(delay)
	}
	due = l.sleep(delay)
	done = true
	return due
}

// sleep returns false as soon as the caller's context ends.
func (l *Loop) sleep(d time.Duration) bool {
	switch {
	case l.Sleep != nil:
		l.Sleep(l.ctx, d)
	case d > 0:
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-l.ctx.Done():
		}
	}
	return l.ctx.Err() == nil
}

// Stop ends the call for r and returns its [*Error]. If cause is nil, the Loop uses the cause that
// it has recorded for r: the context's cause, a gate's error, or the error of Validate.
func (l *Loop) Stop(r Reason, cause error) error {
	if cause == nil {
		cause = l.cause(r)
	}
	announced := l.retry != notAnnounced
	l.returnCharge()
	e := &Error{
		Policy: l.p.Name, Attempts: l.attempt, Limit: max(l.p.MaxAttempts(), 0), Reason: r,
		Fault: l.fault, Elapsed: l.elapsed(), Err: l.last, Cause: cause,
	}
	if r == Canceled {
		e.ctxErr = ended(l.ctx)
	}
	if l.fault.Kind == fault.None && l.last != nil {
		l.p.deposit() // an answer: the service is healthy
	}
	if l.p.Observe != nil {
		l.event(Event{
			Kind: GaveUp, Fault: l.fault, Err: e, Elapsed: e.Elapsed, Reason: r,
			Announced: announced,
		})
	}
	return e
}

// returnCharge gives back the charge of a retry that will not take place.
func (l *Loop) returnCharge() {
	if l.retry == charged {
		l.p.returnRetry(l.fault.Kind)
	}
	l.retry = notAnnounced
}

// Succeed ends the call after an attempt that succeeded, even one that was made without [Try].
func (l *Loop) Succeed() {
	if !l.tried {
		l.begin()
	}
	l.p.deposit()
	if l.p.Observe != nil {
		l.event(Event{Kind: Succeeded, Fault: fault.Fault{Kind: fault.None}})
	}
}

func (l *Loop) event(e Event) {
	e.Policy, e.Attempt = l.p.Name, l.attempt
	if e.Elapsed == 0 {
		e.Elapsed = l.elapsed()
	}
	l.p.Observe(l.ctx, e)
}
