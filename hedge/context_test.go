package hedge

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

type ctxKey struct{}

// A context that is made at the first look is like one that was made at once: whether it ends
// before the look, after it, or with the caller's, and for those derived from it too.
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

// A context that has ended without a look shows its end to what asks it by Value, as package
// context does.
func TestLegContextEndsByValue(t *testing.T) {
	c := &legContext{Context: context.WithValue(t.Context(), ctxKey{}, "v")}
	if c.Value(ctxKey{}) != "v" || c.Err() != nil || c.made != nil {
		t.Error("a value, or Err, is a look")
	}
	c.end(ErrLost)
	if c.Value(ctxKey{}) != "v" || c.made == nil || c.made.Err() == nil {
		t.Error("the context that ended is not the one that is asked")
	}
}

// The first end counts: that of a caller is not replaced by that of the call.
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
