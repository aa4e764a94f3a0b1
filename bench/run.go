package bench

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
)

// Held is the number of objects that [Heap] measures. They share the cost of common parts.
const Held = 100_000

// sink keeps results from being optimised away.
var sink atomic.Int64

// Serial measures an entry in one goroutine.
func Serial(b *testing.B, s Scenario, e Entry) {
	op, end := e.operation()
	defer end()
	ctx := context.Background()
	b.ReportAllocs()
	id, sum := 1000, 0
	for b.Loop() {
		v, err := op(ctx, id)
		if (err != nil) != s.Fails {
			b.Fatal(err)
		}
		sum += v
		id++
	}
	sink.Add(int64(sum))
}

// Parallel measures an entry in GOMAXPROCS goroutines at once.
func Parallel(b *testing.B, s Scenario, e Entry) {
	op, end := e.operation()
	defer end()
	ctx := context.Background()
	var start atomic.Int64
	b.ReportAllocs()
	b.ResetTimer() // RunParallel does not do it, but Loop does
	b.RunParallel(func(pb *testing.PB) {
		id, sum := int(start.Add(1000)), 0
		for pb.Next() {
			v, err := op(ctx, id)
			if (err != nil) != s.Fails {
				b.Error(err)
				return
			}
			sum += v
			id++
		}
		sink.Add(int64(sum))
	})
}

// operation sets an entry up. For an HTTP entry it also starts a server or a stub.
func (e Entry) operation() (op Op, end func()) {
	if e.HTTP == nil {
		return e.Op(), func() {}
	}
	t := newTarget(e.Scenario)
	do := e.HTTP(t.transport)
	return func(ctx context.Context, id int) (int, error) {
		return id + 1, get(ctx, do, t.url)
	}, t.close
}

// Heap returns the bytes and the objects on the heap that one of [Held] objects takes.
func Heap(e Entry) (bytes, objects float64) {
	heldKeys()
	keep := make([]any, Held)
	bytes0, objects0 := live()
	e.Held(keep)
	bytes1, objects1 := live()
	runtime.KeepAlive(keep)
	return (bytes1 - bytes0) / Held, (objects1 - objects0) / Held
}

func live() (bytes, objects float64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(m.Mallocs - m.Frees)
}
