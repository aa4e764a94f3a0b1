package rebound_test

import (
	"context"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
)

// BenchmarkDo measures what a call costs around a function that does next to nothing.
func BenchmarkDo(b *testing.B) {
	ctx := context.Background()
	id := 0
	work := func(context.Context) (int, error) { id++; return id, nil }
	for name, p := range map[string]*rebound.Policy{
		"nil": nil, "policy": {Attempts: 5}, "breaker": {Breaker: &breaker.Breaker{}},
		"timeout": {AttemptTimeout: time.Minute},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = rebound.Do(ctx, p, work)
			}
		})
	}
	b.Run("two failures", func(b *testing.B) {
		b.ReportAllocs()
		p := &rebound.Policy{Backoff: atOnce, Budget: budget.Unlimited}
		for b.Loop() {
			n := 0
			_, _ = rebound.Do(ctx, p, func(context.Context) (int, error) {
				if n++; n < 3 {
					return n, errFlaky
				}
				return n, nil
			})
		}
	})
}
