// Package reboundtest helps to test programs that use rebound:
//
//   - [Do] makes a call without sleeping, and returns its attempts and delays.
//   - A [Scripted] function fails according to a list.
//   - A [Server] plays a list of answers and failures on real connections.
//   - [TestGate] checks that a type keeps the contract of [gate.Gate].
//
// Run a test that has to wait in a bubble of testing/synctest, where waiting takes no real time.
package reboundtest

import (
	"context"
	"time"

	"github.com/rebound-go/rebound"
)

// Trace is the record of a call.
type Trace[T any] struct {
	// Value is the value that fn returned last.
	Value T

	// Attempts is the number of calls of fn.
	Attempts int

	// Delays are the delays between attempts, one before each retry.
	Delays []time.Duration
}

// Do calls fn as [rebound.Do] does, under a context without a deadline. It records the delays and
// does not sleep. The delays have no jitter, so the same failures always give the same trace, to
// the nanosecond. The error is the [*rebound.Error] that the real call would return.
//
// The policy's gates, breaker, budget and Observe work as in a real call, but no real time passes
// during a delay. So no cooldown ends and no budget refills in it. MaxElapsed and the reported
// elapsed times count the delays, and the timeout of each attempt that ran into it. If other tests
// share the policy, use [rebound.Policy.Clone], so that this test does not use up their budget.
//
// AttemptTimeout is real time. Outside testing/synctest, an fn that waits for its context blocks Do
// for AttemptTimeout, or for ever if p has none.
func Do[T any](p *rebound.Policy, fn func(context.Context) (T, error)) (Trace[T], error) {
	var trace Trace[T]
	var elapsed time.Duration // counts the delays and timeouts
	// timeout reads fields, which a nil policy does not have. Clone returns a zero policy for nil.
	fields := p.Clone()
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
		// The attempt ran into its timeout. elapsed does not count real time, so the timeout is added.
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

// timeout returns the time that p gives to an attempt that begins after elapsed.
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
