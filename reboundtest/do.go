// Package reboundtest is for the tests of programs that use rebound:
//
//   - [Do] makes a call without sleeping, and returns its attempts and delays;
//   - a [Scripted] function fails by a list;
//   - a [Server] plays a list of answers and breakdowns on a real connection;
//   - [TestGate] checks that a type keeps the contract of [gate.Gate].
//
// A call that must really wait belongs in a bubble of testing/synctest, where time passes at once.
package reboundtest

import (
	"context"
	"time"

	"github.com/rebound-go/rebound"
)

// Trace is what a call did.
type Trace[T any] struct {
	Value    T               // what fn returned last
	Attempts int             // how often fn was called
	Delays   []time.Duration // the delays between attempts, one for each retry decided on
}

// Do calls fn as [rebound.Do] does, under a context without a deadline. It records the delays and
// does not sleep. The delays are without jitter, so the same failures make the same trace, to the
// nanosecond. The error is the [*rebound.Error] that the real call would return.
//
// All of p takes part: its gates, its breaker, its budget and its Observe see what they would see
// of a real call. The clock, though, stands still between attempts. MaxElapsed and the elapsed
// times that are reported count the waits, and for an attempt that ran into its timeout that time;
// but no breaker cools down in a wait, and no budget refills. A test that empties the budget of a
// policy that others share may use [rebound.Policy.Clone].
//
// The time of an attempt's context is real. Outside of testing/synctest, an fn that hangs does so
// for p.AttemptTimeout, or for good if there is none.
func Do[T any](p *rebound.Policy, fn func(context.Context) (T, error)) (Trace[T], error) {
	var trace Trace[T]
	var elapsed time.Duration // by the clock that stands still
	fields := p.Clone()       // of a nil policy, too
	l := rebound.Begin(context.Background(), p)
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
		// The attempt ran into its timeout, which the clock that stands still has not seen.
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

// timeout is the time that an attempt by p has which begins after elapsed.
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
