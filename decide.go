package rebound

import (
	"math"
	"time"

	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
)

// State is the input of [Policy.Decide], apart from the failure itself.
type State struct {
	Attempt int           // the attempt that failed, from 1
	Elapsed time.Duration // the time since the call began
	Prev    time.Duration // the delay before that attempt; 0 before the first, or see Durable
	Left    time.Duration // until the context's deadline; 0 = there is none
	U       float64       // a random number in [0, 1) for the jitter; below 0 = no jitter

	// Durable is for job engines, which store the state of a call. MaxRetryAfter and Fault.Final do
	// not end the call, and a Prev of 0 stands for the delay without jitter.
	Durable bool
}

// Decision is what [Policy.Decide] returns: another attempt after Delay, or the Reason for none.
type Decision struct {
	Retry bool // make another attempt

	// Delay is the delay before the retry, or 0 without a retry. One exception: if a gate has
	// rejected the attempt of a durable [Loop], it is the delay before the engine's next attempt.
	Delay time.Duration

	Reason Reason // why there is no retry; empty if Retry
}

var defaultBackoff backoff.Backoff = backoff.Exponential{}

// Decide returns what follows a failure. It is pure: it reads no clock, draws no random number and
// keeps no state. So any loop can run the policy, and a schedule can be computed without waiting.
// Decide ignores the budget, the breaker and the gates, because they have state. A [Loop] uses them
// after Decide.
func (p *Policy) Decide(s State, f fault.Fault) Decision {
	if p == nil {
		p = &shared
	}
	return p.decide(&s, &f)
}

func (p *Policy) decide(s *State, f *fault.Fault) Decision {
	if reason := p.stop(s, f); reason != "" {
		return Decision{Reason: reason}
	}
	delay := p.delay(s, f)
	if reason := p.past(s, delay); reason != "" {
		return Decision{Reason: reason}
	}
	return Decision{Retry: true, Delay: delay}
}

// past returns which bound a delay would pass, or "".
func (p *Policy) past(s *State, delay time.Duration) Reason {
	switch {
	case p.MaxElapsed > 0 && delay >= p.MaxElapsed-s.Elapsed:
		return PastElapsed
	case s.Left != 0 && delay >= s.Left:
		return PastDeadline
	}
	return ""
}

// stop returns why there is no further attempt after any delay, or "".
func (p *Policy) stop(s *State, f *fault.Fault) Reason {
	switch {
	case p.MaxAttempts() < Unlimited:
		return Invalid
	case f.Kind == fault.Canceled:
		return Canceled
	case f.Final && !s.Durable:
		return AlreadyRetried
	case !p.retryable(f):
		return NotRetryable
	case p.NonIdempotent && f.Sent == fault.MaybeDone:
		return NotIdempotent
	case p.exhausted(s.Attempt):
		return Exhausted
	case f.After > p.maxRetryAfter() && !s.Durable:
		return WaitTooLong
	}
	return ""
}

// exhausted reports whether a call that has failed so many times has had all its attempts.
func (p *Policy) exhausted(attempts int) bool {
	limit := p.MaxAttempts()
	return limit > 0 && attempts >= limit
}

// retryable reports whether f may be retried. A mark on the error outranks RetryIf.
func (p *Policy) retryable(f *fault.Fault) bool {
	if p.RetryIf != nil && !mark.On(f.Err) && !permanentBelow(f.Err) {
		return p.RetryIf(*f)
	}
	return f.Kind != fault.None && f.Kind != fault.Permanent
}

func (p *Policy) maxRetryAfter() time.Duration {
	if p.MaxRetryAfter == 0 {
		return defaultMaxRetryAfter
	}
	return p.MaxRetryAfter
}

// delay is the delay after a failure. A Retry-After delay is a lower bound, and the jitter on top
// of it only lengthens it, by up to a quarter. Without this jitter all clients of the server would
// retry at the same instant.
func (p *Policy) delay(s *State, f *fault.Fault) time.Duration {
	d := p.backoff(s, f.Kind)
	if f.After <= 0 {
		return d
	}
	d = max(d, f.After)
	if s.U > 0 {
		d = saturated(float64(d) + s.U*float64(f.After)/4)
	}
	return max(d, f.After)
}

func (p *Policy) backoff(s *State, k fault.Kind) time.Duration {
	throttled := k == fault.RateLimited || k == fault.Overloaded
	b := p.Backoff
	if throttled && p.Throttled != nil {
		b, throttled = p.Throttled, false
	}
	if b == nil {
		b = defaultBackoff
	}
	times := time.Duration(1)
	if throttled {
		times = throttledTimes
	}
	// If the last failure was throttled too, Prev is already a multiple of the backoff's own delay. A
	// strategy that grows from Prev would otherwise be multiplied by 4 at every attempt.
	prev := s.Prev / times
	if prev == 0 && s.Durable {
		prev = before(b, s.Attempt)
	}
	d := max(b.Delay(s.Attempt, prev, s.U), 0)
	if !throttled {
		return d
	}
	return saturated(throttledTimes * float64(d))
}

// maxSteps bounds the work for a job with many failures. By then a backoff has reached its cap.
const maxSteps = 1000

// before is the delay of b before attempt n, without jitter. It replaces the real delay for an
// engine that stores only the number of failures.
func before(b backoff.Backoff, n int) (prev time.Duration) {
	for i := max(n-maxSteps, 1); i < n; i++ {
		prev = max(b.Delay(i, prev, -1), 0)
	}
	return prev
}

// rejectedDelay returns the delay before a job engine repeats an attempt that a gate has rejected.
// It is the policy's delay, but at least the time until the gate may admit an attempt.
func (p *Policy) rejectedDelay(s *State, refusal error) time.Duration {
	return p.delay(s, &fault.Fault{Kind: fault.Transient, After: fault.Of(refusal).After})
}

// saturated is ns nanoseconds, or the longest duration there is.
func saturated(ns float64) time.Duration {
	if ns >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(ns)
}

// Schedule returns the delays after the first n failures, without jitter, if the failures are
// Transient. It ignores the limits on attempts and time.
func (p *Policy) Schedule(n int) []time.Duration {
	if p == nil {
		p = &shared
	}
	var waits []time.Duration
	var prev time.Duration
	for i := range max(n, 0) {
		prev = p.backoff(&State{Attempt: i + 1, Prev: prev, U: -1}, fault.Transient)
		waits = append(waits, prev)
	}
	return waits
}
