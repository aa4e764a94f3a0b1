package bench

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// parts are the building blocks. The shared parts are also measured with one object for all
// goroutines.
var parts = slices.Concat(
	sharedPart("atomic load", func() func(context.Context, int) int {
		var a atomic.Int64
		return func(_ context.Context, id int) int { return int(a.Load()) + id }
	}),
	sharedPart("atomic add", func() func(context.Context, int) int {
		var a atomic.Int64
		return func(context.Context, int) int { return int(a.Add(1)) }
	}),
	sharedPart("mutex", func() func(context.Context, int) int {
		var m sync.Mutex
		n := 0
		return func(_ context.Context, id int) int {
			m.Lock()
			defer m.Unlock()
			n++
			return n + id
		}
	}),
	sharedPart("clock", func() func(context.Context, int) int {
		start := time.Now()
		return func(_ context.Context, id int) int { return int(time.Since(start)) + id }
	}),
	part("work", func(ctx context.Context, id int) int { n, _ := work(ctx, id); return n }),
	part("work + deferred closure", deferred),
	part("escaping closure", func(ctx context.Context, id int) int {
		f := func() (int, error) { return work(ctx, id) }
		escape(f)
		n, _ := f()
		return n
	}),
	part("context.WithCancel", func(ctx context.Context, id int) int {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		n, _ := work(ctx, id)
		return n
	}),
	part("context.WithTimeout", func(ctx context.Context, id int) int {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		n, _ := work(ctx, id)
		return n
	}),
	part("timer, stopped", func(_ context.Context, id int) int {
		time.NewTimer(time.Second).Stop()
		return id
	}),
	part("timer of 0, waited for", func(_ context.Context, id int) int {
		<-time.NewTimer(0).C
		return id
	}),
	part("random number", func(_ context.Context, id int) int {
		return int(rand.Float64() * float64(id))
	}),
)

func part(name string, f func(context.Context, int) int) []Entry {
	return []Entry{{"parts", name, Floor, "", partOp(f), nil, nil}}
}

func sharedPart(name string, create func() func(context.Context, int) int) []Entry {
	op := func() Op { return partOp(create())() }
	return []Entry{
		{"parts", name, Floor, "", op, nil, nil}, {"parts_shared", name, Floor, "", op, nil, nil},
	}
}

func partOp(f func(context.Context, int) int) func() Op {
	return func() Op {
		return func(ctx context.Context, id int) (int, error) { return f(ctx, id), nil }
	}
}

func deferred(ctx context.Context, id int) (n int) {
	defer func() {
		if recover() != nil {
			n = -1
		}
	}()
	n, _ = work(ctx, id)
	return n
}

var escaped atomic.Value

// escape makes f escape to the heap. It stores f only while a test counts.
//
//go:noinline
func escape(f func() (int, error)) {
	if counting {
		escaped.Store(f)
	}
}
