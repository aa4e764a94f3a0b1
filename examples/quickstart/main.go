// Command quickstart retries a flaky function and prints what happened. Run it with
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
)

var policy = &rebound.Policy{
	Name:     "greeting",
	Attempts: 4,
	Backoff:  backoff.Exponential{Base: 50 * time.Millisecond},
	Observe: func(_ context.Context, e rebound.Event) {
		if e.Kind == rebound.Retrying {
			fmt.Printf("attempt %d failed: %v; retry follows\n", e.Attempt, e.Err)
		}
	},
}

func main() {
	calls := 0
	greeting, err := rebound.Do(context.Background(), policy,
		func(context.Context) (string, error) {
			if calls++; calls < 3 {
				return "", errors.New("connection reset")
			}
			return "hello", nil
		})
	fmt.Println(greeting, err)
}
