package reboundtest

import (
	"context"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// GateTraits describes what [TestGate] expects of a gate beyond the contract of all gates.
type GateTraits struct {
	// Limit is the number of attempts that the gate admits at the same time. 0 = not tested.
	Limit int

	// Failures is how many failures in a row, of kind Transient, shut the gate: it then rejects all
	// further attempts, as an open breaker does. 0 = not tested.
	Failures int

	// Cooldown is how long a gate stays shut before it admits a probe. The tests wait for it in real
	// time, about ten times. 0 = not tested.
	Cooldown time.Duration

	// NoAllocs requires that the gate allocates nothing for an attempt that succeeds.
	NoAllocs bool
}

// TestGate checks that a type keeps the contract of [gate.Gate], on which policies rely:
//
//   - The gate admits attempts, one after the other and many at once.
//
//   - Every Leave frees what its Enter took, after a success, a failure, a panic (a zero Outcome),
//     and an attempt that was Skipped because a later gate rejected it.
//
//   - These outcomes do not shut the gate: a success, a permanent failure, a rate limit, a
//     cancellation by the caller, and Skipped.
//
//   - A rejection is an error that errors.Is finds. It takes nothing.
//
//   - An Enter that waits returns an error when its context ends, and takes nothing.
//
//   - At most traits.Limit attempts are inside at any time.
//
//   - After traits.Failures failures or panics in a row, the gate is shut: it rejects all
//     attempts.
//
//   - After traits.Cooldown a shut gate admits a probe. Only the probe's success makes it admit
//     attempts again. A probe that never ends does not keep it shut for good.
//
//   - An attempt that began before the gate shut has no effect when it ends.
//
// A test of a bulkhead for three attempts:
//
//	func TestBulkhead(t *testing.T) {
//		fresh := func() gate.Gate { return NewBulkhead(3) }
//		reboundtest.TestGate(t, fresh, reboundtest.GateTraits{Limit: 3})
//	}
//
// Every call of fresh must return a new gate that shares nothing with the others. A rate limit must
// have room for a thousand attempts in a row. Run the tests with the race detector.
func TestGate(t *testing.T, fresh func() gate.Gate, traits GateTraits) {
	for _, check := range gateChecks {
		if check.applies(traits) {
			t.Run(check.name, func(t *testing.T) {
				check.run(&gateTest{reporter: t, gate: fresh(), traits: traits})
			})
		}
	}
}

// gateCheck is one check of TestGate. Each check has its own gate.
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

	{"failures shut", shuts, (*gateTest).failuresShut},
	{"panics shut", shuts, (*gateTest).panicsShut},
	{"late success", shutsMany, (*gateTest).lateSuccess},

	{"admits again", recovers, (*gateTest).admitsAgain},
	{"failed probe", recovers, (*gateTest).failedProbe},
	{"panicked probe", recovers, (*gateTest).panickedProbe},
	{"skipped probe", recovers, (*gateTest).skippedProbe},
	{"lost probe", recoversMany, (*gateTest).lostProbe},
	{"late success beside a probe", recoversMany, (*gateTest).lateSuccessBesideProbe},
	{"late failures", recoversMany, (*gateTest).lateFailures},

	{"allocations", func(t GateTraits) bool { return t.NoAllocs }, (*gateTest).allocations},
}

func always(GateTraits) bool     { return true }
func limits(t GateTraits) bool   { return t.Limit > 0 }
func shuts(t GateTraits) bool    { return t.Failures > 0 }
func recovers(t GateTraits) bool { return shuts(t) && t.Cooldown > 0 }

// shutsMany and recoversMany need a gate that admits one attempt more than the failures that shut
// it.
func shutsMany(t GateTraits) bool    { return shuts(t) && (!limits(t) || t.Limit > t.Failures) }
func recoversMany(t GateTraits) bool { return shutsMany(t) && recovers(t) }

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
	promptly = 5 * time.Second        // the longest time that something immediate may take
	glance   = 100 * time.Millisecond // an Enter that takes longer counts as waiting
)

// gateTest is the run of one check.
type gateTest struct {
	reporter
	gate   gate.Gate
	traits GateTraits
}

// reporter is the part of testing.TB that checks need. The tests of the checks use a recording
// reporter, to verify that a faulty gate fails.
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
	// The buffer lets the goroutine end even if the check has ended.
	answer := make(chan entered, 1)
	go func() {
		pass, err := g.gate.Enter(ctx)
		answer <- entered{pass, err}
	}()
	return answer
}

// answer returns the result of Enter. The check fails if Enter takes too long.
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

// enter calls Enter, which must admit the attempt.
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

// try calls Enter, which may reject the attempt. If Enter waits, its context soon ends.
func (g *gateTest) try(when string) entered {
	g.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), glance)
	defer cancel()
	return g.answer(g.begin(ctx), when)
}

// mustReject calls Enter, which must reject the attempt.
func (g *gateTest) mustReject(when string) {
	g.Helper()
	e := g.try(when)
	if e.err == nil {
		g.Fatalf("Enter %s: admitted, want a rejection", when)
	}
	g.sound(e.err)
}

// stillShut calls Enter of a gate that was shut after since. Enter must reject the attempt, unless
// the cooldown is over, as it may be on a busy machine.
func (g *gateTest) stillShut(since time.Time, when string) {
	g.Helper()
	e := g.try(when)
	switch {
	case e.err != nil:
		g.sound(e.err)
	// Skipped changes nothing about the gate, so the check continues.
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

// round makes a complete attempt, which must be admitted.
func (g *gateTest) round(when string, o gate.Outcome) {
	g.Helper()
	g.leave(g.enter(when), o)
}
