// Package reboundtest helps to test programs that use rebound:
//
//   - [Do] makes a call without sleeping, and returns its attempts and delays.
//   - A [Scripted] function fails according to a list.
//   - A [Server] plays a list of answers and failures on real connections.
//   - [TestGate] checks that a type keeps the contract of [gate.Gate].
//
// A call that really has to wait belongs in a bubble of testing/synctest, where waiting takes no
// time.
package reboundtest

import (
	"context"
	"time"

	"github.com/rebound-go/rebound"
)

// Trace is what a call did.
type Trace[T any] struct {
	// Value is what fn returned last.
	Value T

	// Attempts is how often fn was called.
	Attempts int

	// Delays are the delays between attempts, one for each retry that was decided on.
	Delays []time.Duration
}

// Do calls fn as [rebound.Do] does, under a context without a deadline. It records the delays and
// does not sleep. The delays have no jitter, so the same failures always give the same trace, to
// the nanosecond. The error is the [*rebound.Error] that the real call would return.
//
// Everything in p takes part: its gates, breaker, budget and Observe work as in a real call. But
// time stands still between attempts. MaxElapsed, and the elapsed times that are reported, include
// the delays, and the timeout of an attempt that ran into it. But no breaker cools down during a
// delay, and no budget refills. If other tests share the policy, use [rebound.Policy.Clone], so
// that this test does not use up their budget.
//
// The time of an attempt's context is real. Outside testing/synctest, an fn that hangs does so for
// p.AttemptTimeout, or for ever if there is none.
func Do[T any](p *rebound.Policy, fn func(context.Context) (T, error)) (Trace[T], error) {
	var trace Trace[T]
	var elapsed time.Duration // by the clock that stands still
	// timeout reads fields, which a nil policy does not have.
	fields := p.Clone() // of a nil policy, too
	l := rebound.Begin(context.Background(), p)
	// A negative number stands for no jitter.
	l.U = func() float64 { return -1 }
	l.Elapsed = func() time.Duration { return elapsed }
	l.Sleep = func(_ context.Context, d time.Duration) {
		trace.Delays = append(trace.Delays, d)
		elapsed += d
	}
	attempt := func(ctx context.Context) (T, error) {
		trace.Attempts++
		v, err := fn(ctx)
		trace.Value = v
		// The attempt ran into its timeout, which the clock that stands still does not show.
		if ctx.Err() != nil {
			elapsed += timeout(fields, elapsed)
		}
		return v, err
	}
	for {
		_, err := rebound.Try(&l, attempt)
		if err == nil {
			l.Succeed()
			return trace, nil
		}
		d := l.Decide(err)
		if !d.Retry {
			return trace, l.Stop(d.Reason, nil)
		}
		if stop := l.Retry(d.Delay); stop != nil {
			return trace, stop
		}
	}
}

// timeout is the time available to an attempt by p that begins after elapsed.
func timeout(p *rebound.Policy, elapsed time.Duration) time.Duration {
	switch left := p.MaxElapsed - elapsed; {
	case p.MaxElapsed == 0:
		return p.AttemptTimeout
	case p.AttemptTimeout == 0:
		return left
	default:
		return min(p.AttemptTimeout, left)
	}
}
