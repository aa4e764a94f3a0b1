package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

func printScale(w io.Writer) {
	fmt.Fprint(w, "\n## Scaling\n\nA breaker.Group in which every key has failed once: a call by one",
		" of its keys, and the heap per\nkey, the key aside.\n\n",
		"| keys | ns per call | bytes per key |\n| --: | --: | --: |\n")
	for _, n := range []int{10, 1_000, 100_000, 1_000_000} {
		ns, heap := groupOf(n)
		fmt.Fprintf(w, "| %d | %.0f | %.0f |\n", n, ns, heap)
	}
	fmt.Fprint(w, "\nCalls that wait in a backoff of 2 s, each in a goroutine of its own: memory per ",
		"call, stack included,\nand how late they went on.\n\n| calls | bytes per call | median | ",
		"latest |\n| --: | --: | --: | --: |\n")
	for _, n := range []int{1, 1_000, 100_000} {
		heap, late := waiting(n)
		fmt.Fprintf(w, "| %d | %.0f | %v | %v |\n", n, heap, late[n/2].Round(10*time.Microsecond),
			late[n-1].Round(10*time.Microsecond))
	}
}

// groupOf returns what a call by one of n keys takes, and the bytes per key.
func groupOf(n int) (ns, heap float64) {
	ctx := context.Background()
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("service-%07d", i)
	}
	before := memory()
	g := new(breaker.Group[string])
	for _, k := range keys {
		if p, err := g.For(k).Enter(ctx); err == nil {
			g.For(k).Leave(p, gate.Outcome{Fault: fault.Fault{Kind: fault.Transient}})
		}
	}
	heap = (memory() - before) / float64(n)
	step := max(n*6/10|1, 1) // odd: goes through all keys, and not in the order of memory
	result := testing.Benchmark(func(b *testing.B) {
		i := 0
		for b.Loop() {
			k := g.For(keys[i])
			i = (i + step) % n
			if p, err := k.Enter(ctx); err == nil {
				k.Leave(p, gate.Outcome{Result: gate.OK})
			}
		}
	})
	runtime.KeepAlive(g)
	return float64(result.T.Nanoseconds()) / float64(result.N), heap
}

var errFirst = errors.New("the first attempt fails")

// waiting lets n calls fail once, and returns the memory that one takes while it waits for its
// second attempt, and how late those were, in order.
func waiting(n int) (heap float64, late []time.Duration) {
	const wait = 2 * time.Second
	p := &rebound.Policy{Backoff: backoff.Constant(wait), Budget: budget.Unlimited}
	late = make([]time.Duration, n)
	var asleep, awake sync.WaitGroup
	asleep.Add(n)
	before := memory()
	for i := range n {
		awake.Go(func() {
			var failed time.Time
			_ = rebound.Run(context.Background(), p, func(context.Context) error {
				if failed.IsZero() {
					asleep.Done()
					failed = time.Now()
					return errFirst
				}
				late[i] = time.Since(failed) - wait
				return nil
			})
		})
	}
	asleep.Wait()
	heap = (memory() - before) / float64(n)
	awake.Wait()
	slices.Sort(late)
	return heap, late
}

// memory is what heap and stacks take, in bytes.
func memory() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
