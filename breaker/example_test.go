package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// guarded makes one call through a breaker, as rebound.Do does with Policy.Breaker. The deferred
// Leave sees a zero Outcome, a failure, if f panics.
func guarded(b *breaker.Breaker, f func() error) error {
	pass, err := b.Enter(context.Background())
	if err != nil {
		return err
	}
	var out gate.Outcome
	defer func() { b.Leave(pass, out) }()
	if err = f(); err == nil {
		out.Result = gate.OK
	} else {
		out.Fault = fault.Of(err)
	}
	return err
}

func Example() {
	b := &breaker.Breaker{Name: "ocr", Failures: 3, Cooldown: time.Minute}
	down := func() error { return errors.New("no answer") }
	for range 4 {
		err := guarded(b, down)
		fmt.Println(err, errors.Is(err, breaker.ErrOpen))
	}
	// Output:
	// no answer false
	// no answer false
	// no answer false
	// breaker ocr is open for another 1m0s (failures in a row) true
}

func ExampleBreaker_Enter() {
	b := &breaker.Breaker{Name: "ocr"}
	ctx := context.Background()
	for i := range 6 {
		pass, err := b.Enter(ctx)
		var open *breaker.OpenError
		if errors.As(err, &open) {
			fmt.Println("call", i+1, "rejected; some time left:", open.Remaining() > 0)
			return
		}
		b.Leave(pass, gate.Outcome{Fault: fault.Fault{Kind: fault.Transient}})
	}
	// Output: call 6 rejected; some time left: true
}

// If many callers share a service that fails half of the time, failures in a row are rare. A
// failure rate over a window detects this.
func ExampleBreaker_failureRate() {
	b := &breaker.Breaker{Rate: 0.5, MinCalls: 10, Window: 30 * time.Second}
	for i := range 10 {
		guarded(b, func() error {
			if i%2 == 0 {
				return errors.New("no answer")
			}
			return nil
		})
	}
	s := b.Snapshot()
	fmt.Printf("%v: %s, %.0f %% of %d calls\n", s.State, s.Why, 100*s.FailureRate, s.Calls)
	// Output: open: failure rate, 50 % of 10 calls
}

// A service that becomes slower and slower is about to fail. This breaker opens if half of the
// calls are slow, although all of them succeed.
func ExampleBreaker_slowCalls() {
	b := &breaker.Breaker{SlowAfter: time.Millisecond, SlowRate: 0.5, MinCalls: 4}
	for range 4 {
		pass, _ := b.Enter(context.Background())
		<-time.After(2 * time.Millisecond) // the call
		b.Leave(pass, gate.Outcome{Result: gate.OK})
	}
	s := b.Snapshot()
	fmt.Printf("%v: %s, %d of %d calls\n", s.State, s.Why, s.Slow, s.Calls)
	// Output: open: slow calls, 4 of 4 calls
}

// A service that is down for an hour need not be probed every minute.
func ExampleBreaker_maxCooldown() {
	b := &breaker.Breaker{Failures: 1, Cooldown: time.Minute, MaxCooldown: 5 * time.Minute}
	for range 4 {
		guarded(b, func() error { return errors.New("no answer") })
		fmt.Println("open for", b.Snapshot().Remaining.Round(time.Second))
		b.ForceHalfOpen() // instead of waiting for the cooldown's end
	}
	// Output:
	// open for 1m0s
	// open for 2m0s
	// open for 4m0s
	// open for 5m0s
}

// A shadow shows what a new breaker would do to real calls, and does nothing to them.
func ExampleBreaker_shadow() {
	b := &breaker.Breaker{Name: "ocr", Failures: 2, Shadow: true}
	for range 5 {
		fmt.Println(guarded(b, func() error { return errors.New("no answer") }))
	}
	s := b.Snapshot()
	fmt.Println("it is", b.State())
	fmt.Println("it would be", s.State, "and would have rejected", s.Rejected)
	// Output:
	// no answer
	// no answer
	// no answer
	// no answer
	// no answer
	// it is closed
	// it would be open and would have rejected 3
}

// If a service announces how long it will be down, no failure is needed to open the breaker.
func ExampleBreaker_Trip() {
	b := &breaker.Breaker{Name: "billing"}
	b.Trip(30 * time.Minute)
	_, err := b.Enter(context.Background())
	fmt.Println(err)
	// Output: breaker billing is open for another 30m0s (asked for)
}

func ExampleGroup() {
	g := &breaker.Group[string]{Template: breaker.Breaker{Name: "fetch", Failures: 2}}
	for _, host := range []string{"a.example", "b.example", "a.example", "a.example"} {
		b := g.For(host)
		pass, err := b.Enter(context.Background())
		if err != nil {
			fmt.Println(err)
			continue
		}
		b.Leave(pass, gate.Outcome{Fault: fault.Fault{Kind: fault.Transient, Detail: "status 503"}})
	}
	// Output: breaker fetch/a.example is open for another 1m0s (failures in a row: status 503)
}

// All feeds debug pages and metrics.
func ExampleGroup_All() {
	var g breaker.Group[int]
	for shard := range 100 {
		if pass, err := g.For(shard).Enter(context.Background()); err == nil {
			o := gate.Outcome{Result: gate.OK}
			if shard == 42 {
				o = gate.Outcome{} // a panic
			}
			g.For(shard).Leave(pass, o)
		}
	}
	for shard, s := range g.All() {
		fmt.Println(shard, s.State, s.Failures)
	}
	// Output: 42 closed 1
}

func ExampleBreaker_ForceOpen() {
	b := &breaker.Breaker{Name: "billing"}
	b.ForceOpen() // maintenance: no cooldown ends it
	_, err := b.Enter(context.Background())
	fmt.Println(err)

	b.ForceHalfOpen() // try it
	fmt.Println(b.State())
	b.Reset() // or just believe it
	fmt.Println(b.State())
	// Output:
	// breaker billing is forced open
	// half-open
	// closed
}

// The snapshot of a breaker that seems stuck open shows since when, why, and what must happen.
func ExampleBreaker_Snapshot() {
	b := &breaker.Breaker{Name: "ocr", Failures: 2}
	for range 2 {
		guarded(b, func() error { return errors.New("no answer") })
	}
	s := b.Snapshot()
	fmt.Println(s.Name, s.State, "because of", s.Why)
	fmt.Println("opened", s.Opened, "times, last by:", s.OpenedBy)
	fmt.Println("a probe may come in", s.Remaining.Round(time.Second))
	// Output:
	// ocr open because of failures in a row
	// opened 1 times, last by: no answer
	// a probe may come in 1m0s
}

func ExampleBreaker_OnChange() {
	b := &breaker.Breaker{Name: "ocr", Failures: 1, OnChange: func(c breaker.Change) {
		fmt.Printf("%s: %v → %v, %s\n", c.Name, c.From, c.To, c.Why)
	}}
	guarded(b, func() error { return errors.New("no answer") })
	b.ForceHalfOpen()
	guarded(b, func() error { return nil })
	// Output:
	// ocr: closed → open, failures in a row
	// ocr: open → half-open, asked for
	// ocr: half-open → closed, probes succeeded
}
