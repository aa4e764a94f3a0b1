package reboundtest

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound/gate"
)

// shut shuts the gate with attempts that end with o, and returns the time before the last one.
func (g *gateTest) shut(o gate.Outcome) time.Time {
	g.Helper()
	var since time.Time
	for i := range g.traits.Failures {
		since = time.Now()
		g.round(fmt.Sprintf("after %d of %d failures", i, g.traits.Failures), o)
	}
	g.stillShut(since, fmt.Sprintf("after %d attempts that ended %s", g.traits.Failures, describe(o)))
	return since
}

// probe waits until a shut gate admits an attempt. It calls Enter repeatedly, because a gate need
// not admit a probe at an exact time.
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

// afterCooldown is longer than the gate may stay shut.
func (g *gateTest) afterCooldown() time.Duration { return 3*g.traits.Cooldown + promptly }

func (g *gateTest) failuresShut() {
	since := g.shut(failure)
	for range 10 {
		g.stillShut(since, "of a gate that failures have shut")
	}
}

func (g *gateTest) panicsShut() { g.shut(panicked) }

// lateSuccess ends an attempt that began before the gate shut with success. The gate must stay
// shut.
func (g *gateTest) lateSuccess() {
	early := g.enter("of a fresh gate")
	since := g.shut(failure)
	g.leave(early, success)
	g.stillShut(since, "after the success of an attempt that began before the gate shut")
}

// admitsAgain checks that a probe is admitted after the cooldown and not much earlier. After its
// success, the gate must admit attempts again.
func (g *gateTest) admitsAgain() {
	since := g.shut(failure)
	first := g.probe(g.afterCooldown(), "after the cooldown")
	// Half of the cooldown leaves room for jitter.
	if took := time.Since(since); took < g.traits.Cooldown/2 {
		g.Errorf("admitted %v after it was shut, want that after a cooldown of %v",
			took, g.traits.Cooldown)
	}
	g.leave(first, success)
	g.readmit()
}

// readmit makes probes that succeed, until the gate must admit every attempt.
func (g *gateTest) readmit() {
	g.Helper()
	for range 30 {
		g.leave(g.probe(g.afterCooldown(), "after the cooldown"), success)
	}
	for range 30 {
		g.round("after many probes that succeeded", success)
	}
}

// lateFailures ends attempts that began before the gate shut with failures, after the gate admits
// attempts again. They must not shut it.
func (g *gateTest) lateFailures() {
	var early []gate.Pass
	for range g.traits.Failures {
		early = append(early, g.enter("of a fresh gate"))
	}
	g.shut(failure)
	g.readmit()
	for _, p := range early {
		g.leave(p, failure)
	}
	g.round("after failures of attempts that began before the gate last shut", success)
}

// failedProbe ends a probe with a failure, which must start another cooldown.
func (g *gateTest) failedProbe() {
	g.shutByProbe(failure)
}

// panickedProbe ends a probe with a panic, whose Outcome is zero. The gate must start another
// cooldown.
func (g *gateTest) panickedProbe() {
	g.shutByProbe(panicked)
}

// shutByProbe ends a probe with an outcome that must start another cooldown.
func (g *gateTest) shutByProbe(o gate.Outcome) {
	g.Helper()
	g.shut(failure)
	probe, since := g.probe(g.afterCooldown(), "after the cooldown"), time.Now()
	g.leave(probe, o)
	g.stillShut(since, "after a probe that ended "+describe(o))
	g.leave(g.probe(g.afterCooldown(), "after the cooldown that followed"), success)
}

// skippedProbe ends a probe as skipped, because a later gate rejected it. That shows nothing about
// the service, so the next attempt must be admitted as a probe, without another cooldown.
func (g *gateTest) skippedProbe() {
	g.shut(failure)
	g.leave(g.probe(g.afterCooldown(), "after the cooldown"), skipped)
	g.round("after a probe that was skipped", success)
}

// lostProbe makes a probe that never leaves, as when its goroutine hangs. The gate must admit
// another probe later.
func (g *gateTest) lostProbe() {
	g.shut(failure)
	g.probe(g.afterCooldown(), "after the cooldown")
	g.leave(g.probe(10*g.afterCooldown(), "after a probe that never returned"), success)
}

// lateSuccessBesideProbe ends an attempt that began before the gate shut with success, during a
// probe. Only the outcome of the probe may count.
func (g *gateTest) lateSuccessBesideProbe() {
	early := g.enter("of a fresh gate")
	g.shut(failure)
	probe := g.probe(g.afterCooldown(), "after the cooldown")
	g.leave(early, success)
	since := time.Now()
	g.leave(probe, failure)
	g.stillShut(since, "after a probe that failed beside the late success of an older attempt")
}
