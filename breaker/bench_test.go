package breaker_test

import (
	"context"
	"math"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
)

// gate is what Breaker and Keyed have in common.
type guard interface {
	Enter(context.Context) (gate.Pass, error)
	Leave(gate.Pass, gate.Outcome)
}

func benchmarkCalls(b *testing.B, pick func(i int) guard) {
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			g := pick(i)
			if p, err := g.Enter(ctx); err == nil {
				g.Leave(p, gate.Outcome{Result: gate.OK})
			}
		}
	})
}

func BenchmarkClosed(b *testing.B) {
	br := new(breaker.Breaker)
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if p, err := br.Enter(ctx); err == nil {
				br.Leave(p, gate.Outcome{Result: gate.OK})
			}
		}
	})
}

func BenchmarkWindow(b *testing.B) {
	br := &breaker.Breaker{Rate: 0.5}
	benchmarkCalls(b, func(int) guard { return br })
}

func BenchmarkSlow(b *testing.B) {
	br := &breaker.Breaker{SlowAfter: time.Hour, SlowRate: 0.5}
	benchmarkCalls(b, func(int) guard { return br })
}

func BenchmarkOpen(b *testing.B) {
	br := &breaker.Breaker{Cooldown: time.Hour}
	fail(br, 5)
	benchmarkCalls(b, func(int) guard { return br })
}

func BenchmarkFailure(b *testing.B) {
	br := &breaker.Breaker{Failures: math.MaxInt}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		p, _ := br.Enter(ctx)
		br.Leave(p, failure)
	}
}

// BenchmarkGroup takes one of 1024 keys at a time: all of them healthy, one in trouble, and all
// of them counted in windows.
func BenchmarkGroup(b *testing.B) {
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = "svc-" + strconv.Itoa(i)
	}
	calls := func(b *testing.B, g *breaker.Group[string]) {
		ctx := context.Background()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				k := g.For(keys[i%len(keys)])
				if p, err := k.Enter(ctx); err == nil {
					k.Leave(p, gate.Outcome{Result: gate.OK})
				}
			}
		})
	}
	b.Run("healthy", func(b *testing.B) { calls(b, new(breaker.Group[string])) })
	b.Run("trouble", func(b *testing.B) {
		g := new(breaker.Group[string])
		fail(g.For("down"), 5)
		calls(b, g)
	})
	b.Run("window", func(b *testing.B) {
		calls(b, &breaker.Group[string]{Template: breaker.Breaker{Rate: 0.5}})
	})
}

// BenchmarkMemory reports the heap that a breaker, or a key, takes after one call.
func BenchmarkMemory(b *testing.B) {
	const n = 10_000
	breakers := func(cfg func() *breaker.Breaker) func() any {
		return func() any {
			all := make([]*breaker.Breaker, n)
			for i := range all {
				all[i] = cfg()
				succeed(all[i], 1)
			}
			return all // 8 bytes each are this slice's
		}
	}
	group := func(rate float64, calls func(guard)) func() any {
		return func() any {
			g := &breaker.Group[int]{Template: breaker.Breaker{Rate: rate}}
			for i := range n {
				calls(g.For(i))
			}
			return g
		}
	}
	for name, build := range map[string]func() any{
		"breaker":    breakers(func() *breaker.Breaker { return new(breaker.Breaker) }),
		"window":     breakers(func() *breaker.Breaker { return &breaker.Breaker{Rate: 0.5} }),
		"key":        group(0, func(g guard) { succeed(g, 1) }),
		"key failed": group(0, func(g guard) { fail(g, 1) }),
		"key open":   group(0, func(g guard) { fail(g, 5) }),
		"key window": group(0.5, func(g guard) { succeed(g, 1) }),
	} {
		b.Run(name, func(b *testing.B) { reportHeap(b, n, build) })
	}
}

func reportHeap(b *testing.B, n int, build func() any) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := build()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(x)
	for b.Loop() { // nothing: the heap is what is measured
	}
	b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/float64(n), "B/each")
}
