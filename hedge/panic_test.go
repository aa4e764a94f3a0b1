package hedge

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/budget"
)

// ending is how an attempt ends.
type ending int

const (
	returns ending = iota
	panics
	exits
)

type act struct {
	takes    time.Duration
	ending   ending
	stubborn bool // ignores its context
}

var panicking = []struct {
	name      string
	acts      []act
	want      any // the value of the panic; nil: a Goexit
	at        time.Duration
	discarded []int
}{
	{"first, before the delay", []act{{10 * ms, panics, false}}, 1, 10 * ms, nil},
	{"first, beside a hedge", []act{{150 * ms, panics, false}, {time.Hour, returns, false}},
		1, 150 * ms, nil},
	{"first, after the answer", []act{{200 * ms, panics, true}, {50 * ms, returns, false}},
		1, 200 * ms, []int{2}},
	{"hedge", []act{{time.Hour, returns, false}, {20 * ms, panics, false}}, 2, 120 * ms, nil},
	{"hedge, and the first goes on", []act{{300 * ms, returns, true}, {20 * ms, panics, false}},
		2, 300 * ms, []int{1}},
	{"hedge, after the answer", []act{{150 * ms, returns, false}, {100 * ms, panics, true}},
		2, 200 * ms, []int{1}},
	{"both", []act{{200 * ms, panics, true}, {20 * ms, panics, false}}, 1, 200 * ms, nil},
	{"exit of the first", []act{{150 * ms, exits, false}, {time.Hour, returns, false}},
		nil, 150 * ms, nil},
	{"exit of a hedge", []act{{time.Hour, returns, false}, {20 * ms, exits, false}},
		nil, 120 * ms, nil},
	{"exit of a hedge after the answer",
		[]act{{150 * ms, returns, false}, {100 * ms, exits, true}}, nil, 200 * ms, []int{1}},
}

// A panic or a Goexit in any attempt continues in the caller, when all others have ended. Their
// values are discarded.
func TestPanics(t *testing.T) {
	for _, row := range panicking {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n, alive atomic.Int64
				var discarded []int
				fn := func(ctx context.Context) (int, error) {
					i := int(n.Add(1))
					alive.Add(1)
					defer alive.Add(-1)
					return i, row.acts[i-1].perform(ctx, i)
				}
				h := &Hedge{After: 100 * ms, Max: 2}
				for range 100 { // so that the share allows two hedges
					h.success(0, false)
				}
				start, done := time.Now(), make(chan any)
				go func() {
					over := false
					defer func() {
						if r := recover(); over {
							done <- "Do returned"
						} else {
							done <- r
						}
					}()
					_, _ = Do(t.Context(), h, fn, func(v int) { discarded = append(discarded, v) })
					over = true
				}()
				if got := <-done; got != row.want || time.Since(start) != row.at {
					t.Errorf("%v after %v, want %v after %v", got, time.Since(start), row.want, row.at)
				}
				if alive.Load() > 0 || int(n.Load()) != len(row.acts) {
					t.Errorf("%d of %d attempts outlive the call", alive.Load(), n.Load())
				}
				if !slices.Equal(discarded, row.discarded) {
					t.Errorf("discarded %v, want %v", discarded, row.discarded)
				}
			})
		})
	}
}

func (a act) perform(ctx context.Context, value int) error {
	cut := ctx.Done()
	if a.stubborn {
		cut = nil
	}
	select {
	case <-time.After(a.takes):
	case <-cut:
		return ctx.Err()
	}
	switch a.ending {
	case panics:
		panic(value)
	case exits:
		runtime.Goexit()
	}
	return nil
}

func boom(context.Context, Event) { panic("boom") }

// A panic in the user's other functions does not kill the process either.
func TestPanicsInCallbacks(t *testing.T) {
	empty := &budget.Budget{Capacity: 1, Refill: budget.None}
	if err := empty.Take(); err != nil {
		t.Fatal(err)
	}
	lost := func(ctx context.Context, e Event) {
		if e.Kind == Lost {
			panic("boom")
		}
	}
	for name, row := range map[string]struct {
		hedge   *Hedge
		discard func(int)
	}{
		"Observe, denied":  {&Hedge{After: ms, Budget: empty, Observe: boom}, nil},
		"Observe, started": {&Hedge{After: ms, Observe: boom}, nil},
		"Observe, lost":    {&Hedge{After: ms, Observe: lost}, nil},
		"discard":          {&Hedge{After: ms}, func(int) { panic("boom") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer func() {
					if r := recover(); r != "boom" {
						t.Errorf("the caller's panic is %v", r)
					}
				}()
				s := &script{legs: []leg{{200 * ms, nil, true}, {200 * ms, nil, true}}}
				_, _ = Do(t.Context(), row.hedge, s.call, row.discard)
			})
		})
	}
}
