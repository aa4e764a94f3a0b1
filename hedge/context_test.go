package hedge

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type ctxKey struct{}

// A context that is made at its first use behaves like one that was made at once, whether it ends
// before that use, after it, or with the caller's. So do the contexts derived from it.
func TestLegContext(t *testing.T) {
	for _, looked := range []bool{false, true} {
		for _, end := range []string{"not", "itself", "caller"} {
			synctest.Test(t, func(t *testing.T) {
				caller, cancel := context.WithTimeoutCause(
					context.WithValue(t.Context(), ctxKey{}, "v"), time.Minute, errOne)
				defer cancel()
				c := &legContext{Context: caller}
				if looked && c.Done() == nil {
					t.Error("it cannot end")
				}
				var want, cause error
				switch end {
				case "itself":
					c.end(ErrLost)
					c.end(errTwo) // too late
					want, cause = context.Canceled, ErrLost
				case "caller":
					time.Sleep(time.Minute)
					synctest.Wait()
					want, cause = context.DeadlineExceeded, errOne
				}
				if got := context.Cause(c); got != cause { // before Err has looked
					t.Errorf("%v, %s: cause %v, want %v", looked, end, got, cause)
				}
				child, stop := context.WithCancel(c)
				defer stop()
				called := make(chan bool, 1)
				context.AfterFunc(c, func() { called <- true })
				synctest.Wait()
				for _, ctx := range []context.Context{c, child} {
					if ctx.Err() != want || context.Cause(ctx) != cause || ctx.Value(ctxKey{}) != "v" {
						t.Errorf("%v, %s: %v for %v", looked, end, ctx.Err(), context.Cause(ctx))
					}
					if _, ok := ctx.Deadline(); !ok {
						t.Error("the deadline is gone")
					}
				}
				if len(called) > 0 != (want != nil) {
					t.Errorf("%v, %s: AfterFunc has called %d times", looked, end, len(called))
				}
				if c.end(ErrLost); child.Err() == nil {
					t.Error("a derived context goes on")
				}
			})
		}
	}
}

// A context that ended before its first use shows its end through Value, which package context
// uses.
func TestLegContextEndsByValue(t *testing.T) {
	c := &legContext{Context: context.WithValue(t.Context(), ctxKey{}, "v")}
	if c.Value(ctxKey{}) != "v" || c.Err() != nil || c.made != nil {
		t.Error("Value or Err counts as a use")
	}
	c.end(ErrLost)
	if c.Value(ctxKey{}) != "v" || c.made == nil || c.made.Err() == nil {
		t.Error("the context that ended is not the one that is asked")
	}
}

// The first end counts: the end of the call does not replace that of the caller.
func TestLegContextEndsOnce(t *testing.T) {
	caller, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	c := &legContext{Context: caller}
	if c.end(ErrLost); c.Err() != context.DeadlineExceeded || c.Err() != c.look().Err() {
		t.Errorf("%v, want that of the caller", c.Err())
	}
}

// A timer that fires while the call ends begins no hedge.
func TestTimerIsLate(t *testing.T) {
	c := &call[int]{h: &Hedge{}, closed: true, fn: func(context.Context) (int, error) {
		t.Error("a hedge has begun")
		return 0, nil
	}}
	c.ctx.Context = t.Context()
	c.others.Add(1)
	c.hedge()
	c.others.Wait()
}

// Outside of a Do all attempts are the first.
func TestLegOutside(t *testing.T) {
	if n := Leg(t.Context()); n != 1 {
		t.Errorf("leg %d", n)
	}
}

// Contexts derived from it need no goroutine.
func TestLegContextIsKnown(t *testing.T) {
	c := &hedgeContext{&legContext{Context: t.Context()}, 2}
	before := runtime.NumGoroutine()
	for range 100 {
		_, cancel := context.WithCancel(c)
		defer cancel()
	}
	if n := runtime.NumGoroutine(); n > before+10 {
		t.Errorf("%d goroutines for 100 contexts", n-before)
	}
}

// While the first attempt waits in a queue, no hedge begins and no time is measured.
func TestHold(t *testing.T) {
	for _, row := range []struct {
		name          string
		h             *Hedge
		queue, takes  time.Duration // of the first attempt
		at, delay     time.Duration
		begun, hedges int
	}{
		{"quick", &Hedge{After: 100 * ms}, 500 * ms, 90 * ms, 590 * ms, 100 * ms, 1, 0},
		{"slow", &Hedge{After: 100 * ms}, 500 * ms, time.Hour, 610 * ms, 100 * ms, 2, 1},
		{"no queue", &Hedge{After: 100 * ms}, 0, time.Hour, 110 * ms, 100 * ms, 2, 1},
		{"measured", measured(t, 90*ms), 500 * ms, 50 * ms, 550 * ms, 100 * ms, 1, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var begun atomic.Int32
				start := time.Now()
				_, err := Do(t.Context(), row.h, func(ctx context.Context) (int, error) {
					wait := 10 * ms
					Hold(ctx)
					if begun.Add(1) == 1 {
						time.Sleep(row.queue)
						wait = row.takes
					}
					Resume(ctx)
					select {
					case <-time.After(wait):
						return 0, nil
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				}, nil)
				s := row.h.Snapshot()
				if err != nil || time.Since(start) != row.at || int(begun.Load()) != row.begun ||
					int(s.Hedges) != row.hedges || s.Delay.Round(20*ms) != row.delay {
					t.Errorf("%v after %v by %d attempts, %+v", err, time.Since(start), begun.Load(), s)
				}
			})
		})
	}
}

// A queue is not taken for a slow service even before the delay is known.
func TestHoldOfTheFirstCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hedge{}
		for range 20 {
			_, _ = Do(t.Context(), h, func(ctx context.Context) (int, error) {
				Hold(ctx)
				time.Sleep(time.Second)
				Resume(ctx)
				time.Sleep(10 * ms)
				return 0, nil
			}, nil)
		}
		if d := h.Snapshot().Delay; d < 10*ms || d > 12*ms {
			t.Errorf("a delay of %v, want that of answers of 10 ms", d)
		}
	})
}

// An attempt that ends in the queue, by a rejection or a panic, ends the call. Hold and Resume do
// nothing elsewhere.
func TestHoldEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		Hold(t.Context())
		Resume(t.Context())
		h := &Hedge{After: ms}
		if _, err := Do(t.Context(), h, func(ctx context.Context) (int, error) {
			Hold(ctx)
			return 0, errOne
		}, nil); err != errOne {
			t.Error(err)
		}
		defer func() {
			if recover() != "boom" {
				t.Error("the panic was lost")
			}
		}()
		_, _ = Do(t.Context(), h, func(ctx context.Context) (int, error) {
			Hold(ctx)
			time.Sleep(time.Second)
			panic("boom")
		}, nil)
	})
}

// A hedge that waits in a queue does not delay further hedges, and a hedge inside another has its
// own call.
func TestHoldIsOfTheFirstAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hedge{After: 100 * ms, Max: 2}
		var begun atomic.Int32
		start := time.Now()
		v, err := Do(t.Context(), h, func(ctx context.Context) (int32, error) {
			n := begun.Add(1)
			if n > 1 {
				Hold(ctx)
			}
			if n == 3 {
				return n, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}, nil)
		if v != 3 || err != nil || time.Since(start) != 200*ms {
			t.Errorf("%d, %v after %v; want 3 after 200 ms", v, err, time.Since(start))
		}
	})
}
