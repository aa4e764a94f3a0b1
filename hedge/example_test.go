package hedge_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/hedge"
)

// flaky is a client of a service whose first answer never comes.
type flaky struct{ calls atomic.Int64 }

func (f *flaky) Get(ctx context.Context, key string) (string, error) {
	if f.calls.Add(1) == 1 {
		<-ctx.Done() // until another attempt has answered
		fmt.Println("first attempt:", context.Cause(ctx))
		return "", ctx.Err()
	}
	return "value of " + key, nil
}

// The first attempt hangs. A second one begins after the delay, and answers.
func ExampleDo() {
	client := new(flaky)
	h := &hedge.Hedge{After: 10 * time.Millisecond}

	v, err := hedge.Do(context.Background(), h,
		func(ctx context.Context) (string, error) { return client.Get(ctx, "k") }, nil)

	s := h.Snapshot()
	fmt.Println(v, err)
	fmt.Println(s.Calls, "call,", s.Hedges, "hedge,", s.Won, "won")
	// Output:
	// first attempt: hedge: another attempt answered first
	// value of k <nil>
	// 1 call, 1 hedge, 1 won
}

// Retries go around hedges: each attempt of the policy may be hedged. A zero Hedge measures how
// long answers take, and hedges the slowest twentieth.
func ExampleHedge() {
	policy := &rebound.Policy{Name: "catalog"}
	h := &hedge.Hedge{Name: "catalog"}
	read := func(ctx context.Context) (string, error) { return "42", nil }

	for range 20 {
		_, err := rebound.Do(context.Background(), policy,
			func(ctx context.Context) (string, error) {
				return hedge.Do(ctx, h, read, nil)
			})
		if err != nil {
			fmt.Println(err)
		}
	}

	s := h.Snapshot()
	fmt.Println(s.Samples, "samples, the delay is known:", s.Delay > 0)
	// Output: 20 samples, the delay is known: true
}

// Each attempt goes to another replica.
func ExampleLeg() {
	replicas := []string{"a.example", "b.example"}
	h := &hedge.Hedge{After: 10 * time.Millisecond}
	host, err := hedge.Do(context.Background(), h, func(ctx context.Context) (string, error) {
		host := replicas[(hedge.Leg(ctx)-1)%len(replicas)]
		if host == "a.example" { // is down, and does not say so
			<-ctx.Done()
			return "", ctx.Err()
		}
		return host, nil
	}, nil)
	fmt.Println(host, err)
	// Output: b.example <nil>
}
