package reboundtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

var errGateTest = errors.New("a test's failure")

// sound checks that errors.Is finds a rejection. It fails for an error type that cannot be
// compared.
func (g *gateTest) sound(rejection error) {
	g.Helper()
	// errors.Is compares with ==, which is false for types that cannot be compared.
	if !errors.Is(rejection, rejection) {
		g.Errorf("a rejection of type %T does not match itself: it needs to be comparable, or a "+
			"method Is", rejection)
	}
	if rejection.Error() == "" {
		g.Errorf("a rejection of type %T has no text", rejection)
	}
}

// inARow makes attempts that succeed, one after the other.
func (g *gateTest) inARow() {
	for i := range 100 {
		g.round(fmt.Sprintf("after %d successes", i), success)
	}
}

// harmless makes attempts whose outcomes show no failure of the service. The gate must still admit
// attempts.
func (g *gateTest) harmless() {
	// 30 of each, which is more failures in a row than breakers usually take.
	for _, o := range []gate.Outcome{
		success, skipped, failed(fault.None), failed(fault.Permanent), failed(fault.RateLimited),
		failed(fault.Canceled),
	} {
		for i := range 30 {
			g.round(fmt.Sprintf("after %d attempts that ended %s", i, describe(o)), o)
		}
	}
}

// onePanic ends one attempt with a panic. The gate must not lose what Enter took.
func (g *gateTest) onePanic() {
	g.round("of a fresh gate", panicked)
	g.round("after one panic", success)
}

// endedContext enters with a context that has ended. Enter may return anything, but must take
// nothing.
func (g *gateTest) endedContext() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	// More often than there are permits: a gate that keeps one in spite of the error runs out.
	for range max(3, g.traits.Limit+1) {
		if e := g.answer(g.begin(ctx), "whose context had ended"); e.err == nil {
			g.leave(e.pass, skipped)
		}
	}
	g.fill("after some with an ended context")
}

// manyAtOnce enters and leaves on many goroutines, and counts those inside.
func (g *gateTest) manyAtOnce() {
	const workers, rounds = 8, 50
	ctx, cancel := context.WithTimeout(context.Background(), promptly)
	defer cancel()
	var inside, most, rejections atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				pass, err := g.gate.Enter(ctx)
				if err != nil {
					rejections.Add(1)
					continue
				}
				now := inside.Add(1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); {
					old = most.Load()
				}
				// Other goroutines get a chance to enter while this one is inside.
				runtime.Gosched()
				inside.Add(-1)
				g.gate.Leave(pass, []gate.Outcome{success, skipped}[(w+i)%2])
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * promptly):
		g.Fatalf("%d goroutines have not finished after %v", workers, 2*promptly)
	}
	if g.traits.Limit > 0 && most.Load() > int64(g.traits.Limit) {
		g.Errorf("%d attempts inside at the same time, want at most %d", most.Load(), g.traits.Limit)
	}
	if g.traits.Limit == 0 && rejections.Load() > 0 {
		g.Errorf("%d of %d attempts were rejected, want none", rejections.Load(), workers*rounds)
	}
	g.fill("after all have left")
}

// fill admits as many attempts as may be inside, or one if traits.Limit is not known.
func (g *gateTest) fill(when string) (passes []gate.Pass) {
	g.Helper()
	for i := range max(g.traits.Limit, 1) {
		passes = append(passes, g.enter(fmt.Sprintf("%s, with %d inside", when, i)))
	}
	return passes
}

// empty ends these attempts with success.
func (g *gateTest) empty(passes []gate.Pass) {
	g.Helper()
	for _, p := range passes {
		g.leave(p, success)
	}
}

// limit fills the gate several times, and checks that one attempt more is rejected.
func (g *gateTest) limit() {
	for range 3 {
		passes := g.fill("of a gate that is empty")
		for range 3 {
			g.mustReject(fmt.Sprintf("with all %d inside", g.traits.Limit))
		}
		g.empty(passes)
	}
}

// everyOutcomeFrees checks that a permit is returned however its attempt ends.
func (g *gateTest) everyOutcomeFrees() {
	outcomes := []gate.Outcome{success, skipped, failed(fault.RateLimited), failed(fault.Permanent)}
	if g.traits.Failures != 1 {
		// The success between the failures keeps a breaker from opening.
		outcomes = append(outcomes, failure, success, panicked)
	}
	passes := g.fill("of a fresh gate")
	for _, o := range outcomes {
		g.leave(passes[0], o)
		passes = append(passes[1:], g.enter("after one left "+describe(o)))
		g.mustReject("when the permit of one that left " + describe(o) + " is taken")
	}
	g.empty(passes)
	g.fill("after all have left")
}

// canceledInQueue cancels an attempt that waits. A gate without a queue rejects it instead.
func (g *gateTest) canceledInQueue() {
	passes := g.fill("of a fresh gate")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	queued := g.begin(ctx)
	select {
	case e := <-queued:
		if e.err == nil {
			g.Fatalf("Enter with all %d inside: admitted, want a rejection", g.traits.Limit)
		}
	case <-time.After(glance):
		cancel()
		e := g.answer(queued, "whose context ended in the queue")
		if !errors.Is(e.err, context.Canceled) {
			g.Errorf("Enter whose context ended in the queue: %v, want the context's error", e.err)
		}
	}
	g.empty(passes)
	g.fill("after one was canceled in the queue")
}

// freedInQueue frees a permit while an attempt waits. The waiting attempt must get it.
func (g *gateTest) freedInQueue() {
	passes := g.fill("of a fresh gate")
	queued := g.begin(context.Background())
	var early *entered
	select {
	case e := <-queued:
		early = &e
	case <-time.After(glance):
	}
	g.leave(passes[0], success)
	switch {
	case early == nil:
		e := g.answer(queued, "that waits for a permit, after one was freed")
		if e.err != nil {
			g.Fatalf("Enter that waited for a permit: rejected with %v, want it to be admitted", e.err)
		}
		passes[0] = e.pass
	case early.err == nil:
		g.Fatalf("Enter with all %d inside: admitted, want a rejection", g.traits.Limit)
	default:
		passes[0] = g.enter("after one left")
	}
	g.mustReject("when that permit is taken")
	g.empty(passes)
	g.fill("after all have left")
}

// allocations counts the allocations of an attempt after the first ones, which may fill the gate's
// pools.
func (g *gateTest) allocations() {
	ctx := context.Background()
	got := testing.AllocsPerRun(100, func() {
		if pass, err := g.gate.Enter(ctx); err == nil {
			g.gate.Leave(pass, success)
		}
	})
	if got != 0 {
		g.Errorf("an attempt that succeeds costs %v allocations, want 0", got)
	}
}

// describe returns how an attempt ended, in words.
func describe(o gate.Outcome) string {
	switch {
	case o.Result == gate.OK:
		return "with success"
	case o.Result == gate.Skipped:
		return "as skipped"
	case o.Fault.Err == nil:
		return "with a panic"
	}
	return "with a failure of kind " + o.Fault.Kind.String()
}
