package limit

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// If the context ends at the moment of the turn, Enter returns its error, and the turn is returned.
func TestRateContextEndsAtTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Rate{N: 1, Wait: time.Minute}
		if err := r.Take(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		before := r.tat.Load()
		w, err := r.join(ctx, r.bucket(), r.bucket().Cost(1))
		if w == nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		cancel(cause)
		if over, err := r.wakeUp(ctx, w); !over || err != cause {
			t.Errorf("%v, %v, want the context's cause", over, err)
		}
		if r.tat.Load() != before || r.queue.booked != 0 || r.queue.waiters.Len() != 0 {
			t.Errorf("the turn was kept: %+v", r.Snapshot())
		}
	})
}
