package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
)

// While the breaker is open the service is left alone, and the fallback answers.
func ExampleDoElse_breaker() {
	policy := &rebound.Policy{
		Name:    "ocr",
		Backoff: quickly,
		Breaker: &breaker.Breaker{Failures: 5}, // and a minute's cooldown
	}
	calls := 0
	remote := func(context.Context) (string, error) {
		calls++
		return "", errors.New("connection reset")
	}
	local := func(_ context.Context, err error) (string, error) {
		return fmt.Sprint("read locally, breaker open: ", errors.Is(err, breaker.ErrOpen)), nil
	}
	for range 3 {
		text, _ := rebound.DoElse(context.Background(), policy, remote, local)
		fmt.Println(calls, text)
	}
	// Output:
	// 3 read locally, breaker open: false
	// 5 read locally, breaker open: true
	// 5 read locally, breaker open: true
}

// In Policy.Breaker, the breaker is inside the retries and counts attempts.
func ExamplePolicy_breaker() {
	b := &breaker.Breaker{Failures: 5}
	policy := &rebound.Policy{Attempts: 3, Backoff: quickly, Breaker: b}
	for range 2 {
		err := rebound.Run(context.Background(), policy, func(context.Context) error {
			return errors.New("connection reset")
		})
		var e *rebound.Error
		if errors.As(err, &e) {
			fmt.Println(e.Attempts, e.Reason, b.State())
		}
	}
	// Output:
	// 3 exhausted closed
	// 2 rejected open
}

// A policy of one attempt goes around another policy. Its breaker is around the retries, and counts
// whole calls. The outer policy does not retry what the inner one has given up on.
func Example_breakerAroundRetry() {
	b := &breaker.Breaker{Failures: 2}
	outer := &rebound.Policy{Attempts: 1, Breaker: b}
	inner := &rebound.Policy{Attempts: 3, Backoff: quickly}

	attempts := 0
	for range 3 {
		err := rebound.Run(context.Background(), outer, func(ctx context.Context) error {
			return rebound.Run(ctx, inner, func(context.Context) error {
				attempts++
				return errors.New("connection reset")
			})
		})
		fmt.Println(attempts, b.State(), errors.Is(err, breaker.ErrOpen))
	}
	// Output:
	// 3 closed false
	// 6 open false
	// 6 open true
}

// seats is a gate that admits as many calls at a time as it has seats.
type seats chan struct{}

func (s seats) Enter(ctx context.Context) (gate.Pass, error) {
	select {
	case s <- struct{}{}:
		return gate.Pass{}, nil
	case <-ctx.Done():
		return gate.Pass{}, context.Cause(ctx)
	}
}

func (s seats) Leave(gate.Pass, gate.Outcome) { <-s }

func ExampleGate() {
	room := make(seats, 2)
	policy := &rebound.Policy{Gates: []gate.Gate{room}}
	rebound.Run(context.Background(), policy, func(context.Context) error {
		fmt.Println("taken during an attempt:", len(room))
		return nil
	})
	fmt.Println("taken afterwards:", len(room))
	// Output:
	// taken during an attempt: 1
	// taken afterwards: 0
}

// Why does a breaker not close? Its snapshot is plain data.
func Example_breakerStuckOpen() {
	b := &breaker.Breaker{Name: "ocr", Failures: 2, Cooldown: time.Hour}
	policy := &rebound.Policy{Attempts: 2, Backoff: quickly, Breaker: b}
	down := func(context.Context) error { return errors.New("connection reset") }

	rebound.Run(context.Background(), policy, down)
	b.ForceHalfOpen() // as if the hour had passed
	rebound.Run(context.Background(), policy, down)

	s := b.Snapshot()
	fmt.Println(s.Name, "is", s.State, "because:", s.Why)
	fmt.Println("failure:", s.OpenedBy)
	fmt.Println("times opened:", s.Opened, "forced:", s.Forced)
	fmt.Println("next probe in an hour:", s.Remaining > 59*time.Minute)
	// Output:
	// ocr is open because: probe failed
	// failure: connection reset
	// times opened: 2 forced: false
	// next probe in an hour: true
}
