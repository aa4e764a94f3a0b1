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

// sound checks that errors.Is finds a refusal.
func (g *gateTest) sound(refusal error) {
	g.Helper()
	if !errors.Is(refusal, refusal) {
		g.Errorf("a rejection of type %T does not match itself: it needs to be comparable, or a "+
			"method Is", refusal)
	}
	if refusal.Error() == "" {
		g.Errorf("a rejection of type %T has no text", refusal)
	}
}

func (g *gateTest) inARow() {
	for i := range 100 {
		g.round(fmt.Sprintf("after %d successes", i), success)
	}
}

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

func (g *gateTest) onePanic() {
	g.round("of a fresh gate", panicked)
	g.round("after one panic", success)
}

func (g *gateTest) endedContext() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	// More often than there are places: an Enter that keeps its place in spite of the error fills the
	// gate.
	for range max(3, g.traits.Limit+1) {
		if e := g.answer(g.begin(ctx), "whose context had ended"); e.err == nil {
			g.leave(e.pass, skipped)
		}
	}
	g.fill("after some with an ended context")
}

// manyAtOnce has goroutines pass in and out, and counts those inside.
func (g *gateTest) manyAtOnce() {
	const workers, rounds = 8, 50
	ctx, cancel := context.WithTimeout(context.Background(), promptly)
	defer cancel()
	var inside, most, refusals atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				pass, err := g.gate.Enter(ctx)
				if err != nil {
					refusals.Add(1)
					continue
				}
				now := inside.Add(1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); {
					old = most.Load()
				}
				// Others get a chance to come in while this one is inside.
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
		g.Fatalf("%d goroutines are not through after %v", workers, 2*promptly)
	}
	if g.traits.Limit > 0 && most.Load() > int64(g.traits.Limit) {
		g.Errorf("%d attempts inside at the same time, want at most %d", most.Load(), g.traits.Limit)
	}
	if g.traits.Limit == 0 && refusals.Load() > 0 {
		g.Errorf("%d of %d attempts were rejected, want none", refusals.Load(), workers*rounds)
	}
	g.fill("after all have left")
}

// fill lets in as many attempts as may be inside, or one if traits.Limit is unknown.
func (g *gateTest) fill(when string) (passes []gate.Pass) {
	g.Helper()
	for i := range max(g.traits.Limit, 1) {
		passes = append(passes, g.enter(fmt.Sprintf("%s, with %d inside", when, i)))
	}
	return passes
}

func (g *gateTest) empty(passes []gate.Pass) {
	g.Helper()
	for _, p := range passes {
		g.leave(p, success)
	}
}

func (g *gateTest) limit() {
	for range 3 {
		passes := g.fill("of a gate that is empty")
		for range 3 {
			g.refused(fmt.Sprintf("with all %d inside", g.traits.Limit))
		}
		g.empty(passes)
	}
}

func (g *gateTest) everyOutcomeFrees() {
	outcomes := []gate.Outcome{success, skipped, failed(fault.RateLimited), failed(fault.Permanent)}
	if g.traits.Failures != 1 {
		outcomes = append(outcomes, failure, success, panicked)
	}
	passes := g.fill("of a fresh gate")
	for _, o := range outcomes {
		g.leave(passes[0], o)
		passes = append(passes[1:], g.enter("after one left "+describe(o)))
		g.refused("when the place of one that left " + describe(o) + " is taken")
	}
	g.empty(passes)
	g.fill("after all have left")
}

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
		e := g.answer(queued, "that waits for a place, of which one is free now")
		if e.err != nil {
			g.Fatalf("Enter that waited for a permit: %v, want it to be admitted", e.err)
		}
		passes[0] = e.pass
	case early.err == nil:
		g.Fatalf("Enter with all %d inside: admitted, want a rejection", g.traits.Limit)
	default:
		passes[0] = g.enter("after one left")
	}
	g.refused("when that place is taken")
	g.empty(passes)
	g.fill("after all have left")
}

// allocations counts those of an attempt after the first ones, which may fill the gate's pools.
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
