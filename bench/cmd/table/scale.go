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

// scaling holds the figures of groups with many keys, and of many waiting calls.
type scaling struct {
	groups  []groupScale
	waiting []waitScale
}

type groupScale struct {
	keys      int
	ns, bytes float64
}

type waitScale struct {
	calls          int
	bytes          float64
	median, latest time.Duration
}

func measureScale() (s scaling) {
	for _, n := range []int{10, 1_000, 100_000, 1_000_000} {
		ns, heap := groupOf(n)
		s.groups = append(s.groups, groupScale{n, ns, heap})
	}
	for _, n := range []int{1, 1_000, 100_000} {
		heap, late := waiting(n)
		s.waiting = append(s.waiting, waitScale{n, heap, late[n/2], late[n-1]})
	}
	return s
}

func (s scaling) print(w io.Writer) {
	if len(s.groups) == 0 {
		return
	}
	fmt.Fprint(w, "\n## Scaling\n\nA breaker.Group in which every key has failed once: the time of ",
		"a call by a key, and the heap per\nkey, without the key itself.\n\n",
		"| keys | ns per call | bytes per key |\n| --: | --: | --: |\n")
	for _, g := range s.groups {
		fmt.Fprintf(w, "| %d | %s | %.0f |\n", g.keys, digits(g.ns), g.bytes)
	}
	fmt.Fprint(w, "\nCalls that wait in a backoff of 2 s, each in a goroutine of its own: memory per ",
		"call with its stack,\nand how late the retries were.\n\n| calls | bytes per call | median | ",
		"latest |\n| --: | --: | --: | --: |\n")
	for _, c := range s.waiting {
		fmt.Fprintf(w, "| %d | %.0f | %v | %v |\n", c.calls, c.bytes,
			c.median.Round(10*time.Microsecond), c.latest.Round(10*time.Microsecond))
	}
}

// save writes what parse reads.
func (s scaling) save(w io.Writer) {
	for _, g := range s.groups {
		fmt.Fprintf(w, "# group: %d %.1f %.1f\n", g.keys, g.ns, g.bytes)
	}
	for _, c := range s.waiting {
		fmt.Fprintf(w, "# waiting: %d %.1f %v %v\n", c.calls, c.bytes, c.median, c.latest)
	}
}

func (s *scaling) parse(key string, fields []string) {
	switch {
	case key == "group" && len(fields) == 3:
		s.groups = append(s.groups,
			groupScale{int(number(fields[0])), number(fields[1]), number(fields[2])})
	case key == "waiting" && len(fields) == 4:
		median, _ := time.ParseDuration(fields[2])
		latest, _ := time.ParseDuration(fields[3])
		s.waiting = append(s.waiting,
			waitScale{int(number(fields[0])), number(fields[1]), median, latest})
	}
}

// groupOf returns the time of a call by one of n keys, and the bytes per key.
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
	step := max(n*6/10|1, 1) // visits the keys in another order than that of memory
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

// waiting makes n calls fail once. It returns the memory of a call that waits for its retry, and
// how late the retries were, in ascending order.
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

// memory returns the size of the heap and the stacks in bytes.
func memory() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
