package limit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

func Example() {
	policy := &rebound.Policy{
		Name: "vision",
		Gates: []gate.Gate{
			&limit.Rate{Name: "vision", N: 500, Per: time.Minute, Wait: 10 * time.Second},
			&limit.Concurrency{Name: "vision", Max: 20, Queue: 100, Wait: 5 * time.Second},
		},
		Breaker: &breaker.Breaker{Name: "vision"},
	}
	err := rebound.Run(context.Background(), policy, func(context.Context) error { return nil })
	fmt.Println(err)
	// Output: <nil>
}

func ExampleConcurrency() {
	reports := &limit.Concurrency{Name: "reports", Max: 1}
	policy := &rebound.Policy{Gates: []gate.Gate{reports}}

	err := rebound.Run(context.Background(), policy, func(ctx context.Context) error {
		// Another call while this one is under way.
		err := rebound.Run(ctx, policy, func(context.Context) error { return nil })
		fmt.Println(errors.Is(err, limit.ErrFull), errors.Is(err, rebound.Rejected))
		return nil
	})
	fmt.Println(err)
	// Output:
	// true true
	// <nil>
}

func ExampleRate() {
	mails := &limit.Rate{Name: "mails", N: 2, Per: time.Minute, Burst: 2}
	for range 3 {
		fmt.Println(mails.Take(context.Background(), 1))
	}
	// Output:
	// <nil>
	// <nil>
	// limit mails: rate limit reached (2 per 1m0s)
}

func ExampleGroup() {
	tenants := &limit.Group[string, limit.Concurrency]{
		Template: limit.Concurrency{Name: "tenant", Max: 10},
	}
	policy := &rebound.Policy{Gates: []gate.Gate{tenants.For("a-corp")}}
	err := rebound.Run(context.Background(), policy, func(context.Context) error { return nil })
	fmt.Println(err)
	for key, s := range tenants.All() {
		fmt.Println(key, s.Name, s.Limit, s.InFlight)
	}
	// Output:
	// <nil>
	// a-corp tenant/a-corp 10 0
}

func ExampleError() {
	mails := &limit.Rate{Name: "mails", N: 1, Per: time.Minute}
	_ = mails.Take(context.Background(), 1)
	err := mails.Take(context.Background(), 1)

	var rejection *limit.Error
	if errors.As(err, &rejection) {
		f := fault.Of(err)
		fmt.Println(rejection.Name, f.Kind, f.Sent, f.After.Round(time.Second))
	}
	// Output: mails rate_limited not_sent 1m0s
}

func ExampleAdaptive() {
	ocr := &limit.Adaptive{Name: "ocr", Queue: 100, Target: 2 * time.Second}
	policy := &rebound.Policy{Gates: []gate.Gate{ocr}}
	err := rebound.Run(context.Background(), policy, func(context.Context) error {
		s := ocr.Snapshot()
		fmt.Println(s.InFlight, "of", s.Limit)
		return nil
	})
	fmt.Println(err)
	// Output:
	// 1 of 20
	// <nil>
}

func ExampleThrottle() {
	vision := &limit.Throttle{Name: "vision"}
	policy := &rebound.Policy{Attempts: 1, Gates: []gate.Gate{vision}}
	busy := rebound.Transient(errors.New("status 503"))
	rejected := 0
	for range 1000 {
		err := rebound.Run(context.Background(), policy, func(context.Context) error { return busy })
		if errors.Is(err, limit.ErrShed) {
			rejected++
		}
	}
	fmt.Println("most were rejected:", rejected > 900)
	fmt.Printf("%.2f may pass\n", vision.Snapshot().Limit)
	// Output:
	// most were rejected: true
	// 0.00 may pass
}
