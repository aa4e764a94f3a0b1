package limit_test

import (
	"context"
	"testing"

	"github.com/rebound-go/rebound/limit"
)

func BenchmarkConcurrency(b *testing.B) {
	c, ctx := &limit.Concurrency{}, context.Background()
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p, err := c.Enter(ctx)
			if err != nil {
				b.Fatal(err)
			}
			c.Leave(p, success)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				p, err := c.Enter(ctx)
				if err != nil {
					b.Error(err)
					return
				}
				c.Leave(p, success)
			}
		})
	})
}

func BenchmarkGroup(b *testing.B) {
	g := limit.Group[string, limit.Concurrency]{}
	b.ReportAllocs()
	for b.Loop() {
		c := g.For("a key")
		p, err := c.Enter(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		c.Leave(p, success)
	}
}
