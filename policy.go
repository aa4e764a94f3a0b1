package rebound

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// Unlimited is the value of [Policy.Attempts] that allows any number of attempts. The policy then
// has no budget of its own. A budget set in [Policy.Budget] still applies.
const Unlimited = -1

const (
	defaultAttempts      = 3
	defaultMaxRetryAfter = 2 * time.Minute
	throttledTimes       = 4 // a nil Throttled is Backoff times this
)

// Policy describes how the failures of a call are handled. The zero Policy is ready to use, and
// every zero field means its documented default. A nil *Policy stands for one zero Policy that all
// callers of the process share, budget included.
//
// Any number of calls and goroutines may use a policy at once. A policy in use must not be changed
// or copied by assignment, because it holds its own budget. Use [Policy.Clone] for a copy.
type Policy struct {
	// Name is the policy's name in errors, events, logs and metrics.
	Name string

	// Attempts is the largest number of attempts, including the first. 0 = 3; Unlimited = no limit.
	Attempts int

	// Backoff returns the delay after each failed attempt.
	// Nil = backoff.Exponential: 100 ms, doubling up to 30 s, with full jitter.
	Backoff backoff.Backoff

	// Throttled replaces Backoff after a failure that is RateLimited or Overloaded.
	// Nil = 4 times the delay of Backoff.
	Throttled backoff.Backoff

	// MaxElapsed bounds the whole call, delays included. A delay that would exceed it is not begun.
	// When it is over, the context of the attempt under way ends. An fn that ignores its context is
	// not interrupted. 0 = no bound but the context's deadline.
	MaxElapsed time.Duration

	// AttemptTimeout bounds each attempt through the attempt's context. That context also ends when fn
	// returns. So fn must not return anything that still needs the context, such as an unread body. A
	// timeout is Transient. 0 = none.
	AttemptTimeout time.Duration

	// MaxRetryAfter is the longest Retry-After delay that is obeyed. A longer one ends the call
	// with reason WaitTooLong. 0 = 2 minutes.
	MaxRetryAfter time.Duration

	// Classify classifies errors. Marks such as Permanent outrank it. Nil = fault.Of.
	Classify fault.Classifier

	// RetryIf reports whether a failure is retried. Marks and the end of the caller's context outrank
	// RetryIf. Nil = all kinds but None, Permanent and Canceled.
	RetryIf func(fault.Fault) bool

	// NonIdempotent is for calls that must not take effect twice. A failure is then retried only if
	// it proves that the server did not act.
	NonIdempotent bool

	// Budget limits retries to a share of the traffic. Several policies may share one. Nil = a budget
	// of this policy's own, with the defaults of budget.Budget. Its Capacity is at least the number of
	// retries of one call. budget.Unlimited = none.
	Budget *budget.Budget

	// Breaker guards each attempt. Calls are rejected without an attempt while it is open.
	// Nil = none.
	Breaker *breaker.Breaker

	// Gates also guard each attempt. They are entered before the breaker, in this order, and left
	// in reverse order.
	Gates []gate.Gate

	// Observe is called with every Event, in order, on the goroutine of the call. It must not
	// block, because the call waits for it. Observers combines several. Nil = none.
	Observe func(context.Context, Event)

	// Both are atomic, because concurrent calls write them. Only failures write them, so a success
	// writes no shared memory.
	own   atomic.Pointer[budget.Budget] // made at the first failure
	valid atomic.Bool                   // Validate found nothing at an earlier failure
}

// shared is the policy of all calls without one.
var shared Policy

// Clone returns a copy of p that may be changed. The copy shares p's Budget, Breaker and gates. If
// Budget is nil, the copy has a new budget of its own. Clone of nil is a new zero Policy.
func (p *Policy) Clone() *Policy {
	if p == nil {
		return &Policy{}
	}
	return &Policy{
		Name:           p.Name,
		Attempts:       p.Attempts,
		Backoff:        p.Backoff,
		Throttled:      p.Throttled,
		MaxElapsed:     p.MaxElapsed,
		AttemptTimeout: p.AttemptTimeout,
		MaxRetryAfter:  p.MaxRetryAfter,
		Classify:       p.Classify,
		RetryIf:        p.RetryIf,
		NonIdempotent:  p.NonIdempotent,
		Budget:         p.Budget,
		Breaker:        p.Breaker,
		Gates:          slices.Clone(p.Gates),
		Observe:        p.Observe,
	}
}

// Validate returns an error that names the first invalid field and the values that are valid, or
// nil. Calling Validate is optional. A call validates its policy after its first failure, unless an
// earlier call has done so. If the policy is invalid, the call stops with reason Invalid.
func (p *Policy) Validate() error {
	if p == nil {
		return nil
	}
	if p.Attempts < Unlimited {
		return fmt.Errorf("rebound: Policy.Attempts is %d: want 1 or more, 0 for %d, "+
			"or rebound.Unlimited", p.Attempts, defaultAttempts)
	}
	if p.MaxElapsed|p.AttemptTimeout|p.MaxRetryAfter < 0 {
		return p.negative()
	}
	if p.MaxElapsed > 0 && p.AttemptTimeout > p.MaxElapsed {
		return fmt.Errorf("rebound: Policy.AttemptTimeout is %v, which is more than the %v of "+
			"MaxElapsed: want at most that", p.AttemptTimeout, p.MaxElapsed)
	}
	return p.validateParts()
}

// validated is Validate once for all calls, since a policy in use does not change.
func (p *Policy) validated() error {
	if p.valid.Load() {
		return nil
	}
	err := p.Validate()
	if err == nil {
		p.valid.Store(true)
	}
	return err
}

// negative names the first duration that is below zero. It is apart, because Validate runs after
// every first failure.
func (p *Policy) negative() error {
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"MaxElapsed", p.MaxElapsed},
		{"AttemptTimeout", p.AttemptTimeout},
		{"MaxRetryAfter", p.MaxRetryAfter},
	} {
		if d.value < 0 {
			return fmt.Errorf("rebound: Policy.%s is %v: want a positive duration, "+
				"or 0 for the default", d.field, d.value)
		}
	}
	return nil
}

func (p *Policy) validateParts() error {
	if p.Backoff != nil {
		if err := validate("Backoff", p.Backoff); err != nil {
			return err
		}
	}
	if p.Throttled != nil {
		if err := validate("Throttled", p.Throttled); err != nil {
			return err
		}
	}
	if p.Budget != nil {
		if err := p.Budget.Validate(); err != nil {
			return invalid("Budget", err)
		}
	}
	if p.Breaker != nil {
		if err := p.Breaker.Validate(); err != nil {
			return invalid("Breaker", err)
		}
	}
	return p.validateGates()
}

func (p *Policy) validateGates() error {
	for i, g := range p.Gates {
		if isNil(g) {
			return fmt.Errorf("rebound: Policy.Gates[%d] is nil: want a gate, or no element", i)
		}
		other := ""
		if p.Breaker != nil && same(g, p.Breaker) {
			other = "Breaker"
		} else if j := slices.IndexFunc(p.Gates[:i], func(o gate.Gate) bool {
			return hasState(o) && same(g, o)
		}); j >= 0 {
			other = fmt.Sprintf("Gates[%d]", j)
		}
		if other != "" {
			return fmt.Errorf("rebound: Policy.Gates[%d] is Policy.%s: "+
				"want it in one place, or each attempt counts twice", i, other)
		}
		if v, ok := g.(validator); ok {
			if err := v.Validate(); err != nil {
				return invalid(fmt.Sprintf("Gates[%d]", i), err)
			}
		}
	}
	return nil
}

// same reports whether a == b. It returns false for types that == cannot compare.
func same(a, b any) (one bool) {
	defer func() { _ = recover() }()
	return a == b
}

// hasState reports whether a gate's type has fields. Without fields, pointers to two gates may be
// equal, and a gate cannot count attempts.
func hasState(g gate.Gate) bool {
	t := reflect.TypeOf(g)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Size() > 0
}

// isNil reports whether g is nil, or a nil pointer in an interface.
func isNil(g gate.Gate) bool {
	v := reflect.ValueOf(g)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// validator is a method that backoffs and gates may have.
type validator interface{ Validate() error }

// validate calls a backoff's own Validate, if it has one.
func validate(field string, b backoff.Backoff) error {
	if v, ok := b.(validator); ok {
		if err := v.Validate(); err != nil {
			return invalid(field, err)
		}
	}
	return nil
}

func invalid(field string, err error) error {
	return fmt.Errorf("rebound: Policy.%s: %w", field, err)
}

// MaxAttempts returns the largest number of attempts: Attempts, or 3 if Attempts is 0. It returns
// [Unlimited], a negative number, if there is no limit.
func (p *Policy) MaxAttempts() int {
	if p == nil || p.Attempts == 0 {
		return defaultAttempts
	}
	return p.Attempts
}

// timed reports whether a field of p needs the time since the call began.
func (p *Policy) timed() bool {
	return p.MaxElapsed|p.AttemptTimeout > 0 || p.Observe != nil
}

// guarded reports whether an attempt of p has a timeout, a breaker or gates.
func (p *Policy) guarded() bool {
	return p.MaxElapsed|p.AttemptTimeout > 0 || p.Breaker != nil || len(p.Gates) > 0
}

// plain reports whether a first attempt of p that succeeds needs no Loop. Such a policy has no
// timeouts, no gates and no Observe. It may have a breaker.
func (p *Policy) plain() bool {
	return !p.timed() && len(p.Gates) == 0
}
