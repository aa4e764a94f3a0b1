package reboundredis_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/reboundredis"
)

// Rows of docs/redis.md: a turn from a real Redis on loopback, and a minimal script for comparison.
func BenchmarkTake(b *testing.B) {
	s := start(b)
	least := redis.NewScript("return redis.call('INCR', KEYS[1])")
	c, ctx := s.client(), context.Background()
	b.Run("script", func(b *testing.B) {
		for b.Loop() {
			if err := least.Run(ctx, c, []string{"n"}).Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, row := range []struct {
		name string
		rate *reboundredis.Rate
	}{
		{"rate", &reboundredis.Rate{Key: "a", N: 1000, Burst: 1e6}},
		{"leases", &reboundredis.Rate{Key: "b", N: 1e6, Burst: 1e6}},
		{"rejected", &reboundredis.Rate{Key: "c", N: 1, Per: time.Hour}},
	} {
		r := row.rate
		r.Client = c
		closing(r)
		b.Run(row.name, func(b *testing.B) {
			for b.Loop() {
				_ = take(r)
			}
		})
	}
}
