package reboundtest

import (
	"context"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// GateTraits describes what to expect of a gate beyond what holds for all gates.
type GateTraits struct {
	// Limit is how many attempts the gate admits at the same time. 0 = not tested.
	Limit int

	// Failures is how many failures in a row, of kind Transient, close the gate to all further
	// attempts, as with a breaker. 0 = not tested.
	Failures int

	// Cooldown is how long a gate that failures have closed stays closed before it admits a probe. The
	// tests really wait for it, about ten times. 0 = not tested.
	Cooldown time.Duration

	// NoAllocs requires that an attempt that succeeds costs no allocation in the gate.
	NoAllocs bool
}

// TestGate checks that a type keeps the contract of [gate.Gate], as the engine relies on it:
//
//   - a gate lets attempts in, one after the other and many at once, and stays usable;
//
//   - every Leave frees what its Enter took, however the attempt ended: with success, with a
//     failure, with a panic (a zero Outcome), or Skipped because a later gate refused;
//
//   - what says nothing bad about the service does not close the gate: an answer, a permanent
//     failure, a rate limit, the caller's cancellation, an attempt that was skipped;
//
//   - a refusal is an error that errors.Is finds, and takes nothing;
//
//   - an Enter that waits ends with the context, and then takes nothing either;
//
//   - no more than traits.Limit attempts are inside at any time;
//
//   - traits.Failures failures, or panics, in a row close the gate; after traits.Cooldown it lets
//     an attempt in, whose success opens it and whose failure does not; an attempt that never
//     returns does not keep it closed for good; one that began before the gate closed changes
//     nothing any more.
//
//     func TestBulkhead(t *testing.T) {
//     fresh := func() gate.Gate { return NewBulkhead(3) }
//     reboundtest.TestGate(t, fresh, reboundtest.GateTraits{Limit: 3})
//     }
//
// Every call of fresh must return a gate that has seen nothing yet, shares nothing with the others,
// and has room for a thousand attempts in a row, where it limits their rate. Run the tests with the
// race detector.
func TestGate(t *testing.T, fresh func() gate.Gate, traits GateTraits) {
	for _, check := range gateChecks {
		if check.applies(traits) {
			t.Run(check.name, func(t *testing.T) {
				check.run(&gateTest{reporter: t, gate: fresh(), traits: traits})
			})
		}
	}
}

// gateCheck is one of the things that TestGate checks, each with a gate of its own.
type gateCheck struct {
	name    string
	applies func(GateTraits) bool
	run     func(*gateTest)
}

var gateChecks = []gateCheck{
	{"in a row", always, (*gateTest).inARow},
	{"harmless outcomes", always, (*gateTest).harmless},
	{"one panic", func(t GateTraits) bool { return t.Failures != 1 }, (*gateTest).onePanic},
	{"ended context", always, (*gateTest).endedContext},
	{"many at once", always, (*gateTest).manyAtOnce},

	{"limit", limits, (*gateTest).limit},
	{"every outcome frees", limits, (*gateTest).everyOutcomeFrees},
	{"canceled in the queue", limits, (*gateTest).canceledInQueue},
	{"freed in the queue", limits, (*gateTest).freedInQueue},

	{"failures close", closes, (*gateTest).failuresClose},
	{"panics close", closes, (*gateTest).panicsClose},
	{"late success", closesMany, (*gateTest).lateSuccess},

	{"opens again", reopens, (*gateTest).opensAgain},
	{"failed probe", reopens, (*gateTest).failedProbe},
	{"panicked probe", reopens, (*gateTest).panickedProbe},
	{"skipped probe", reopens, (*gateTest).skippedProbe},
	{"lost probe", reopensMany, (*gateTest).lostProbe},
	{"late success beside a probe", reopensMany, (*gateTest).lateSuccessBesideProbe},
	{"late failures", reopensMany, (*gateTest).lateFailures},

	{"allocations", func(t GateTraits) bool { return t.NoAllocs }, (*gateTest).allocations},
}

func always(GateTraits) bool    { return true }
func limits(t GateTraits) bool  { return t.Limit > 0 }
func closes(t GateTraits) bool  { return t.Failures > 0 }
func reopens(t GateTraits) bool { return closes(t) && t.Cooldown > 0 }

// closesMany and reopensMany need a gate that admits one attempt more than the failures that close
// it.
func closesMany(t GateTraits) bool  { return closes(t) && (!limits(t) || t.Limit > t.Failures) }
func reopensMany(t GateTraits) bool { return closesMany(t) && reopens(t) }

// How attempts end.
var (
	success  = gate.Outcome{Result: gate.OK}
	skipped  = gate.Outcome{Result: gate.Skipped}
	panicked = gate.Outcome{}
	// A Transient failure is what a breaker counts.
	failure = failed(fault.Transient)
)

func failed(k fault.Kind) gate.Outcome {
	return gate.Outcome{Fault: fault.Fault{Kind: k, Detail: "a test's", Err: errGateTest}}
}

const (
	// Longer than any gate needs, even on a busy machine with the race detector.
	promptly = 5 * time.Second        // longest time for what should happen at once
	glance   = 100 * time.Millisecond // how long an Enter may take before it counts as waiting
)

// gateTest is the run of one check.
type gateTest struct {
	reporter
	gate   gate.Gate
	traits GateTraits
}

// reporter is the part of testing.TB that checks need. The tests of the checks use one that
// records, to verify that a faulty gate fails.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

type entered struct {
	pass gate.Pass
	err  error
}

// begin calls Enter, which may wait, and returns a channel for its result.
func (g *gateTest) begin(ctx context.Context) <-chan entered {
	// The buffer lets the goroutine end even if the check has given up.
	answer := make(chan entered, 1)
	go func() {
		pass, err := g.gate.Enter(ctx)
		answer <- entered{pass, err}
	}()
	return answer
}

// answer returns the result of Enter.
func (g *gateTest) answer(from <-chan entered, when string) entered {
	g.Helper()
	select {
	case e := <-from:
		return e
	case <-time.After(promptly):
		g.Fatalf("Enter %s: has not returned after %v", when, promptly)
		return entered{}
	}
}

// enter is an Enter that must admit the attempt.
func (g *gateTest) enter(when string) gate.Pass {
	g.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), promptly)
	defer cancel()
	e := g.answer(g.begin(ctx), when)
	if e.err != nil {
		g.Fatalf("Enter %s: rejected with %v, want the attempt to be admitted", when, e.err)
	}
	return e.pass
}

// try is an Enter that may reject the attempt, at once or, if it waits, soon.
func (g *gateTest) try(when string) entered {
	g.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), glance)
	defer cancel()
	return g.answer(g.begin(ctx), when)
}

// refused is an Enter that must reject the attempt.
func (g *gateTest) refused(when string) {
	g.Helper()
	e := g.try(when)
	if e.err == nil {
		g.Fatalf("Enter %s: admitted, want a rejection", when)
	}
	g.sound(e.err)
}

// closed is an Enter of a gate that was closed after since. It must reject the attempt unless the
// cooldown is over, which it may be on a busy machine.
func (g *gateTest) closed(since time.Time, when string) {
	g.Helper()
	e := g.try(when)
	switch {
	case e.err != nil:
		g.sound(e.err)
	// Skipped changes nothing about the gate, so the check can go on.
	case g.traits.Cooldown > 0 && time.Since(since) >= g.traits.Cooldown:
		g.leave(e.pass, skipped)
	default:
		g.Fatalf("Enter %s: admitted, want a rejection", when)
	}
}

// leave calls Leave, which must return.
func (g *gateTest) leave(p gate.Pass, o gate.Outcome) {
	g.Helper()
	done := make(chan struct{})
	go func() {
		g.gate.Leave(p, o)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(promptly):
		g.Fatalf("Leave has not returned after %v", promptly)
	}
}

// round is a complete attempt, which must be admitted.
func (g *gateTest) round(when string, o gate.Outcome) {
	g.Helper()
	g.leave(g.enter(when), o)
}
