package limit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundtest"
)

func TestConcurrencyIsAGate(t *testing.T) {
	for name, fresh := range map[string]func() gate.Gate{
		"no queue": func() gate.Gate { return &limit.Concurrency{Max: 3} },
		"queue":    func() gate.Gate { return &limit.Concurrency{Max: 3, Queue: 100} },
		"wait": func() gate.Gate {
			return &limit.Concurrency{Max: 3, Queue: 100, Wait: 10 * time.Second}
		},
	} {
		t.Run(name, func(t *testing.T) {
			reboundtest.TestGate(t, fresh, reboundtest.GateTraits{Limit: 3, NoAllocs: true})
		})
	}
	t.Run("zero", func(t *testing.T) {
		fresh := func() gate.Gate { return new(limit.Concurrency) }
		reboundtest.TestGate(t, fresh, reboundtest.GateTraits{Limit: 100, NoAllocs: true})
	})
}

// A visit is an attempt of a timeline. Its times are in seconds.
type visit struct {
	at    float64 // when it calls Enter
	hold  float64 // how long it stays inside
	until float64 // when its context ends; 0 = never
	want  string
}

func TestConcurrencyTimelines(t *testing.T) {
	for name, row := range map[string]struct {
		limit  *limit.Concurrency
		visits []visit
	}{
		"no queue": {&limit.Concurrency{Max: 2}, []visit{
			{0, 10, 0, "in 0"}, {1, 5, 0, "in 1"}, {2, 1, 0, "full 2"}, {6, 1, 0, "in 6"},
		}},
		"first come, first served": {&limit.Concurrency{Max: 1, Queue: 3}, []visit{
			{0, 10, 0, "in 0"}, {1, 5, 0, "in 10"}, {2, 1, 0, "in 15"}, {3, 1, 0, "in 16"},
			{4, 1, 0, "full 4"}, {11, 1, 0, "in 17"},
		}},
		"two leave at once": {&limit.Concurrency{Max: 2, Queue: 3}, []visit{
			{0, 10, 0, "in 0"}, {0, 10, 0, "in 0"}, {1, 1, 0, "in 10"}, {2, 1, 0, "in 10"},
			{3, 1, 0, "in 11"},
		}},
		"wait ends": {&limit.Concurrency{Max: 1, Queue: 2, Wait: 3 * time.Second}, []visit{
			{0, 10, 0, "in 0"}, {1, 5, 0, "full 4"}, {8, 5, 0, "in 10"}, {9, 1, 0, "full 12"},
		}},
		"context ends in the queue": {&limit.Concurrency{Max: 1, Queue: 2}, []visit{
			{0, 10, 0, "in 0"}, {1, 5, 4, "canceled 4"}, {2, 5, 0, "in 10"}, {5, 1, 0, "in 15"},
		}},
		"the last in the queue gives up": {&limit.Concurrency{Max: 1, Queue: 3}, []visit{
			{0, 10, 0, "in 0"}, {1, 1, 0, "in 10"}, {2, 5, 4, "canceled 4"}, {5, 1, 0, "in 11"},
		}},
		"all in the queue give up": {&limit.Concurrency{Max: 1, Queue: 2}, []visit{
			{0, 10, 0, "in 0"}, {1, 1, 5, "canceled 5"}, {2, 5, 4, "canceled 4"},
			{6, 1, 0, "in 10"}, {20, 1, 0, "in 20"},
		}},
		"a context that has ended takes nothing": {&limit.Concurrency{Max: 1, Queue: 2}, []visit{
			{2, 10, 1, "canceled 2"}, {3, 1, 0, "in 3"},
		}},
		"an attempt that leaves and comes back is last": {&limit.Concurrency{Max: 1, Queue: 2}, []visit{
			{0, 10, 0, "in 0"}, {1, 5, 0, "in 10"}, {10, 1, 0, "in 15"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for i, v := range row.visits {
					go func() {
						// An attempt at the time of a Leave comes after it.
						if got := v.stay(row.limit); got != v.want {
							t.Errorf("visit %d %+v: %s", i, v, got)
						}
					}()
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				checkFree(t, row.limit)
			})
		})
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// stay makes the visit and returns how Enter ended, and when.
func (v visit) stay(g gate.Gate) string {
	start := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	if v.until > 0 {
		cancel()
		ctx, cancel = context.WithDeadline(context.Background(), start.Add(seconds(v.until)))
	}
	defer cancel()
	time.Sleep(seconds(v.at) + time.Duration(v.at)) // a few nanoseconds after an end at the same time
	pass, err := g.Enter(ctx)
	how := "in"
	switch {
	case err == nil:
	case errors.Is(err, limit.ErrFull):
		how = "full"
	case errors.Is(err, context.DeadlineExceeded):
		how = "canceled"
	default:
		how = err.Error()
	}
	got := fmt.Sprintf("%s %v", how, time.Since(start).Round(time.Millisecond).Seconds())
	if err == nil {
		time.Sleep(seconds(v.hold))
		g.Leave(pass, success)
	}
	return got
}

// checkFree reports differences from an unused limit.
func checkFree(t *testing.T, c *limit.Concurrency) {
	t.Helper()
	if s := c.Snapshot(); s.InFlight != 0 || s.Waiting != 0 {
		t.Errorf("afterwards: %d in flight and %d waiting, want 0", s.InFlight, s.Waiting)
	}
}

// A panic does not lose the attempt's permit. Other bulkheads then stay full.
func TestConcurrencyAfterPanics(t *testing.T) {
	c := &limit.Concurrency{Max: 1, Queue: 1, Wait: time.Second}
	p := &rebound.Policy{Gates: []gate.Gate{c}}
	for name, end := range map[string]func(){
		"panic": func() { panic("a bug") }, "Goexit": runtime.Goexit,
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }()
			_ = rebound.Run(context.Background(), p, func(context.Context) error { end(); return nil })
		}()
		<-done
		if s := c.Snapshot(); s.InFlight != 0 {
			t.Errorf("after a %s: %d in flight, want 0", name, s.InFlight)
		}
	}
	if err := rebound.Run(t.Context(), p, func(context.Context) error { return nil }); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// A waiter may give up at the moment when it gets a permit. It then takes the permit or passes it
// on. A lost permit would be missing at the end.
func TestConcurrencyGivesUpAtHandOver(t *testing.T) {
	for name, c := range map[string]*limit.Concurrency{
		"context": {Max: 1, Queue: 2}, "wait": {Max: 1, Queue: 2, Wait: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				admitted := 0
				for range 200 {
					ctx := t.Context()
					if c.Wait == 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, time.Second)
						defer cancel()
					}
					pass, err := c.Enter(t.Context())
					if err != nil {
						t.Fatalf("the permit is lost: %v", err)
					}
					time.AfterFunc(time.Second, func() { c.Leave(pass, success) })
					if pass, err := c.Enter(ctx); err == nil {
						admitted++
						c.Leave(pass, success)
					}
					synctest.Wait()
				}
				checkFree(t, c)
				t.Logf("%d of 200 admitted", admitted)
			})
		})
	}
}

// The end of the context decides, not what a waiter notices first.
func TestConcurrencyEndedContextTakesNoPermit(t *testing.T) {
	c := &limit.Concurrency{Max: 1, Queue: 1}
	gone := errors.New("the user has left")
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			pass, _ := c.Enter(t.Context())
			ctx, cancel := context.WithCancelCause(t.Context())
			waited := make(chan error)
			go func() {
				_, err := c.Enter(ctx)
				waited <- err
			}()
			synctest.Wait()
			c.Leave(pass, success)
			cancel(gone)
			if err := <-waited; err != nil {
				if err != gone {
					t.Fatalf("%v, want the context's cause", err)
				}
			} else {
				c.Leave(gate.Pass{}, success) // it was inside before the context ended
			}
			if _, err := c.Enter(ctx); err != gone {
				t.Fatalf("Enter with an ended context: %v, want its cause", err)
			}
			checkFree(t, c)
		}
	})
}

func TestConcurrencyRejection(t *testing.T) {
	c := &limit.Concurrency{Name: "orders", Max: 2}
	for range 2 {
		if err := c.Refusal(0); err != nil {
			t.Errorf("Refusal(0) with a free permit: %v", err)
		}
		if _, err := c.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.Enter(t.Context())
	var e *limit.Error
	if !errors.As(err, &e) || e.Name != "orders" || !errors.Is(err, limit.ErrFull) ||
		errors.Is(err, limit.ErrRate) {
		t.Errorf("%#v: want the *limit.Error of orders, ErrFull", err)
	}
	const text = "limit orders: concurrency limit reached (2 at a time, 0 waiting)"
	if err.Error() != text {
		t.Errorf("%q, want %q", err, text)
	}
	want := fault.Fault{Kind: fault.Overloaded, Sent: fault.NotSent,
		Detail: "concurrency limit reached", Err: err}
	if f := fault.Of(err); f != want {
		t.Errorf("%+v, want %+v", f, want)
	}
	if again := c.Refusal(0); again != err {
		t.Errorf("Refusal(0) is %v, want the error of Enter", again)
	}
	if later := c.Refusal(1); later != nil {
		t.Errorf("Refusal(1ns) is %v: it is unknown when a permit is free", later)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Enter(context.Background()) }); n > 0 {
		t.Errorf("a rejection allocates %v times", n)
	}
	want2 := limit.Snapshot{Name: "orders", Kind: "concurrency", Limit: 2, InFlight: 2,
		Rejected: 102}
	if s := c.Snapshot(); s != want2 {
		t.Errorf("%+v, want %+v", s, want2)
	}
	c.Leave(gate.Pass{}, success)
	if s := c.Snapshot(); s.Level != 1 {
		t.Errorf("level %v with one of two free, want 1", s.Level)
	}
}

func TestConcurrencyQueueIsNotFullYet(t *testing.T) {
	c := &limit.Concurrency{Max: 1, Queue: 1, Wait: time.Second}
	synctest.Test(t, func(t *testing.T) {
		_, _ = c.Enter(t.Context())
		if err := c.Refusal(0); err != nil {
			t.Errorf("with room in the queue: %v", err)
		}
		go func() { _, _ = c.Enter(t.Context()) }()
		synctest.Wait()
		if err := c.Refusal(0); !errors.Is(err, limit.ErrFull) {
			t.Errorf("with a full queue: %v, want ErrFull", err)
		}
		if s := c.Snapshot(); s.Waiting != 1 || s.InFlight != 1 {
			t.Errorf("%+v: want 1 waiting, 1 in flight", s)
		}
	})
}

// A queue that is invalid holds no attempt, as Refusal reports.
func TestConcurrencyOfAnInvalidQueue(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, g := range []gate.Gate{
		&limit.Concurrency{Max: 1, Queue: -1}, &limit.Adaptive{Max: 1, Queue: math.MinInt},
	} {
		_, _ = g.Enter(ctx)
		if _, err := g.Enter(ctx); !errors.Is(err, limit.ErrFull) {
			t.Errorf("%T: %v, want a rejection", g, err)
		}
	}
}

func TestConcurrencyValidate(t *testing.T) {
	for _, row := range []struct {
		limit *limit.Concurrency
		want  string // "" = valid
	}{
		{&limit.Concurrency{}, ""},
		{&limit.Concurrency{Max: 1, Queue: 1}, ""},
		{&limit.Concurrency{Max: 1, Queue: 1, Wait: 1}, ""},
		{&limit.Concurrency{Max: -1}, "limit.Concurrency: Max is -1"},
		{&limit.Concurrency{Name: "a", Queue: -2}, "limit.Concurrency a: Queue is -2"},
		{&limit.Concurrency{Queue: 1, Wait: -time.Second}, "limit.Concurrency: Wait is -1s"},
		{&limit.Concurrency{Wait: time.Second}, "limit.Concurrency: Wait is 1s: want a Queue"},
	} {
		err := row.limit.Validate()
		if (row.want == "") != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%q: %v, want %q", row.limit.Name, err, row.want)
		}
	}
}

// A limit that was used inside a bubble also serves attempts outside of it.
func TestConcurrencyOutlivesBubble(t *testing.T) {
	c := &limit.Concurrency{Max: 1, Queue: 1, Wait: time.Millisecond}
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			if got := (visit{hold: 1}).stay(c); got != "in 0" {
				t.Error(got)
			}
		})
		pass, err := c.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Enter(t.Context()); !errors.Is(err, limit.ErrFull) {
			t.Errorf("%v, want ErrFull", err)
		}
		c.Leave(pass, success)
	}
	checkFree(t, c)
}
