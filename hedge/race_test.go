package hedge

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound/budget"
)

// Whichever attempt wins, fails or is canceled: none runs after Do has returned. The returned value
// is never discarded, and all others always are.
func TestHammer(t *testing.T) {
	var wg sync.WaitGroup
	h := []*Hedge{
		{Max: 2, Budget: budget.Unlimited, After: 10 * time.Microsecond},
		{Budget: budget.Unlimited, After: time.Microsecond},
		{},
	}
	calls := make([]atomic.Int64, len(h))
	for g := range 8 {
		wg.Go(func() {
			for i := range 400 {
				k := (g + i) % len(h)
				calls[k].Add(1)
				hammer(t, h[k], i)
			}
		})
	}
	wg.Wait()
	for k := range h {
		if s := h[k].Snapshot(); s.Calls != uint64(calls[k].Load()) || s.Won > s.Hedges {
			t.Errorf("%+v of %d calls", s, calls[k].Load())
		}
	}
	if s := h[0].Snapshot(); s.Hedges == 0 || s.Won == 0 || s.Denied == 0 {
		t.Errorf("%+v: the hammer has missed something", s)
	}
}

func hammer(t *testing.T, h *Hedge, i int) {
	var begun, alive, open atomic.Int64
	v, err := Do(t.Context(), h, func(ctx context.Context) (int64, error) {
		n := begun.Add(1)
		alive.Add(1)
		defer alive.Add(-1)
		for range (i * 7 % 40) * 50 {
			if ctx.Err() != nil && i%2 == 0 {
				return 0, ctx.Err()
			}
			runtime.Gosched()
		}
		if (int64(i)+n)%3 == 0 {
			return 0, errors.New("x")
		}
		open.Add(1)
		return n, nil
	}, func(int64) { open.Add(-1) })
	if alive.Load() != 0 {
		t.Error("an attempt outlives Do")
	}
	want := int64(1)
	if err != nil {
		want = 0
	}
	if open.Load() != want || (v == 0) != (err != nil) {
		t.Errorf("%d values are left, of %d and %v", open.Load(), v, err)
	}
}
