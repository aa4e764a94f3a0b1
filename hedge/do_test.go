package hedge

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

// The caller's end ends all attempts, and no hedge begins after it.
func TestCallerEnds(t *testing.T) {
	for _, row := range []struct {
		name   string
		after  time.Duration // of the cancellation
		events string
	}{
		{"before the delay", 50 * ms, ""},
		{"beside a hedge", 150 * ms, "100ms started 2, 150ms lost 1, 150ms lost 2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), row.after)
				defer cancel()
				s := &script{legs: []leg{{takes: time.Hour}, {takes: time.Hour}}}
				h := &Hedge{After: 100 * ms, Observe: s.observe}
				start := time.Now()
				_, err := Do(ctx, h, s.call, s.discard)
				if err != context.DeadlineExceeded || time.Since(start) != row.after {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if got := strings.Join(sorted(s.events), ", "); got != row.events {
					t.Errorf("events %q, want %q", got, row.events)
				}
				for _, cause := range s.causes {
					if strings.Contains(cause, ErrLost.Error()) {
						t.Errorf("cause %q, but no attempt won", cause)
					}
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // it ends first, and the attempt goes on
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := &script{legs: []leg{{takes: time.Hour, stubborn: true}}}
		if v, err := Do(ctx, &Hedge{After: ms}, s.call, nil); v != 1 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
	})
}

// The contexts of all attempts end with the call, so that no timer is left.
func TestContextsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept context.Context
		_, _ = Do(t.Context(), &Hedge{After: ms}, func(ctx context.Context) (int, error) {
			kept = ctx
			return 1, nil
		}, nil)
		if kept.Err() == nil || context.Cause(kept) == ErrLost {
			t.Errorf("the winner's context has ended with %v", context.Cause(kept))
		}
	})
}

// A breaker around each attempt does not count those that lost, and for a policy around the call
// there is one attempt.
func TestComposition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker.Breaker{Failures: 1}
		inner := &rebound.Policy{Attempts: 1, Breaker: b}
		outer := &rebound.Policy{}
		s := &script{legs: []leg{{takes: time.Hour}, {takes: 10 * ms}}}
		h := &Hedge{After: 100 * ms, Observe: s.observe}
		v, err := rebound.Do(t.Context(), outer, func(ctx context.Context) (int, error) {
			return Do(ctx, h, func(ctx context.Context) (int, error) {
				return rebound.Do(ctx, inner, s.call)
			}, s.discard)
		})
		if v != 2 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		if b.State() != breaker.Closed {
			t.Error("the attempt that lost has opened the breaker")
		}
	})
}

// A call with an invalid hedge fails permanently before its first attempt.
func TestInvalid(t *testing.T) {
	for _, row := range []struct {
		hedge *Hedge
		field string
	}{
		{&Hedge{After: -1}, "After"},
		{&Hedge{Percentile: -.1}, "Percentile"},
		{&Hedge{Percentile: 1}, "Percentile"},
		{&Hedge{Percentile: 95}, "Percentile"},
		{&Hedge{Percentile: nan}, "Percentile"},
		{&Hedge{After: 1, Percentile: .5}, "Percentile"},
		{&Hedge{Max: -1}, "Max"},
		{&Hedge{Budget: &budget.Budget{Deposit: -1}}, "Budget"},
	} {
		err := row.hedge.Validate()
		if err == nil || !strings.Contains(err.Error(), "hedge: "+row.field) &&
			!strings.Contains(err.Error(), row.field+" is") {
			t.Errorf("%v, want one about %s", err, row.field)
		}
		_, got := Do(t.Context(), row.hedge, func(context.Context) (int, error) {
			t.Error("an attempt is made")
			return 0, nil
		}, nil)
		if err == nil || got == nil || got.Error() != err.Error() ||
			fault.Of(got).Kind != fault.Permanent {
			t.Errorf("Do returns %v, want %v, permanent", got, err)
		}
	}
	for _, valid := range []*Hedge{nil, {}, {After: 1}, {Percentile: .99, Max: 3}} {
		if err := valid.Validate(); err != nil {
			t.Error(err)
		}
	}
}

var nan = func() (zero float64) { return zero / zero }()

// A call without a hedge costs a context, a timer if there is a delay, and the call.
func TestAllocs(t *testing.T) {
	fn := func(context.Context) (int, error) { return 1, nil }
	for name, row := range map[string]struct {
		hedge *Hedge
		most  float64
	}{
		"too few samples": {&Hedge{Percentile: 1e-9}, 2},
		"fixed delay":     {&Hedge{After: time.Hour}, 5},
		"measured delay":  {measured(t, time.Hour), 5},
	} {
		n := testing.AllocsPerRun(15, func() {
			if v, err := Do(t.Context(), row.hedge, fn, nil); v != 1 || err != nil {
				t.Error(v, err)
			}
		})
		if n > row.most {
			t.Errorf("%s: %v allocations, want at most %v", name, n, row.most)
		}
	}
}

// measured is a hedge whose answers have taken d.
func measured(t *testing.T, d time.Duration) *Hedge {
	h := &Hedge{}
	for range 1000 {
		h.success(d, false)
	}
	if got := h.Snapshot().Delay; got < d {
		t.Fatalf("the delay is %v", got)
	}
	return h
}
