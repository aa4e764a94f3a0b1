package reboundtest

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound/gate"
)

// close closes the gate with failures that end like o, and returns the time before the last one.
func (g *gateTest) close(o gate.Outcome) time.Time {
	g.Helper()
	var since time.Time
	for i := range g.traits.Failures {
		since = time.Now()
		g.round(fmt.Sprintf("after %d of %d failures", i, g.traits.Failures), o)
	}
	g.closed(since, fmt.Sprintf("after %d attempts that ended %s", g.traits.Failures, describe(o)))
	return since
}

// probe waits until the closed gate admits an attempt. It tries repeatedly, because a gate need not
// reopen at an exact time.
func (g *gateTest) probe(within time.Duration, when string) gate.Pass {
	g.Helper()
	give := time.After(within)
	for {
		e := g.try(when)
		if e.err == nil {
			return e.pass
		}
		select {
		case <-give:
			g.Fatalf("Enter %s: still rejected after %v, with %v", when, within, e.err)
		case <-time.After(g.traits.Cooldown / 10):
		}
	}
}

// afterCooldown is longer than the gate may stay closed.
func (g *gateTest) afterCooldown() time.Duration { return 3*g.traits.Cooldown + promptly }

func (g *gateTest) failuresClose() {
	since := g.close(failure)
	for range 10 {
		g.closed(since, "of a gate that failures have closed")
	}
}

func (g *gateTest) panicsClose() { g.close(panicked) }

// lateSuccess has an attempt succeed that began before the gate closed.
func (g *gateTest) lateSuccess() {
	early := g.enter("of a fresh gate")
	since := g.close(failure)
	g.leave(early, success)
	g.closed(since, "after the success of an attempt that began before the gate closed")
}

// opensAgain checks that a probe is admitted after the cooldown, not much earlier, and that its
// success opens the gate.
func (g *gateTest) opensAgain() {
	since := g.close(failure)
	first := g.probe(g.afterCooldown(), "after the cooldown")
	// Half of the cooldown leaves room for jitter.
	if took := time.Since(since); took < g.traits.Cooldown/2 {
		g.Errorf("admitted %v after it was closed, want that after a cooldown of %v",
			took, g.traits.Cooldown)
	}
	g.leave(first, success)
	g.open()
}

// open has probes succeed until the gate must be open.
func (g *gateTest) open() {
	g.Helper()
	for range 30 {
		g.leave(g.probe(g.afterCooldown(), "after the cooldown"), success)
	}
	for range 30 {
		g.round("after many probes that went well", success)
	}
}

// lateFailures has attempts that began before the gate closed fail after it has opened again.
func (g *gateTest) lateFailures() {
	var early []gate.Pass
	for range g.traits.Failures {
		early = append(early, g.enter("of a fresh gate"))
	}
	g.close(failure)
	g.open()
	for _, p := range early {
		g.leave(p, failure)
	}
	g.round("after failures of attempts that began before the gate last closed", success)
}

// failedProbe has a probe fail, which must start another cooldown.
func (g *gateTest) failedProbe() {
	g.close(failure)
	probe, since := g.probe(g.afterCooldown(), "after the cooldown"), time.Now()
	g.leave(probe, failure)
	g.closed(since, "after a probe that failed")
	g.leave(g.probe(g.afterCooldown(), "after the cooldown that followed a failed probe"), success)
}

// panickedProbe has a probe panic, which leaves a zero Outcome. The gate must not stay half-open.
func (g *gateTest) panickedProbe() {
	g.close(failure)
	probe, since := g.probe(g.afterCooldown(), "after the cooldown"), time.Now()
	g.leave(probe, panicked)
	g.closed(since, "after a probe that panicked")
	g.leave(g.probe(g.afterCooldown(), "after the cooldown that followed a panic"), success)
}

// skippedProbe has a later gate reject the probe. That shows nothing about the service, so the next
// attempt may be the probe, without another cooldown.
func (g *gateTest) skippedProbe() {
	g.close(failure)
	g.leave(g.probe(g.afterCooldown(), "after the cooldown"), skipped)
	g.round("after a probe that was skipped", success)
}

// lostProbe has a probe that never leaves, as when its goroutine hangs. Another probe must be
// admitted after a while.
func (g *gateTest) lostProbe() {
	g.close(failure)
	g.probe(g.afterCooldown(), "after the cooldown")
	g.leave(g.probe(10*g.afterCooldown(), "after a probe that never came back"), success)
}

// lateSuccessBesideProbe has an attempt from before the gate closed succeed while a probe is under
// way. Only the probe may decide.
func (g *gateTest) lateSuccessBesideProbe() {
	early := g.enter("of a fresh gate")
	g.close(failure)
	probe := g.probe(g.afterCooldown(), "after the cooldown")
	g.leave(early, success)
	since := time.Now()
	g.leave(probe, failure)
	g.closed(since, "after a probe that failed beside the late success of an older attempt")
}
