package preset_test

import (
	"context"
	"fmt"
	"syscall"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/preset"
)

func ExampleDefault() {
	p := preset.Default()
	fmt.Println(p.Name, p.Attempts, p.Schedule(p.Attempts-1))
	// Output: default 3 [1s 2s]
}

func ExampleAggressive() {
	p := preset.Aggressive()
	fmt.Println(p.Name, p.Attempts, p.Schedule(p.Attempts-1))

	refused := p.Fault(context.Background(), syscall.ECONNREFUSED)
	fmt.Println(p.Decide(rebound.State{Attempt: 1, U: -1}, refused).Retry)
	// Output:
	// aggressive 5 [500ms 1s 2s 4s]
	// true
}

func ExampleRateLimit() {
	p := preset.RateLimit()
	fmt.Println(p.Name, p.Attempts, p.Schedule(p.Attempts-1))
	// Output: rate-limit 5 [2s 6s 18s 54s]
}

func ExampleConservative() {
	p := preset.Conservative()
	p.Name = "billing"
	p.NonIdempotent = true
	fmt.Println(p.Name, p.Attempts, p.Schedule(p.Attempts-1))
	// Output: billing 2 [2s]
}
