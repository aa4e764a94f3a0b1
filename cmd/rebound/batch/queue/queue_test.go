package queue

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
)

func jobAt(at int64) Job { return Job{Row: rows.Row{At: at}} }

// newQueue returns a Queue that reads rows by their offset, and holds these.
func newQueue(t *testing.T, ats ...int64) *Queue {
	q := New(func(at int64) (rows.Row, bool) { return rows.Row{At: at}, true })
	for _, at := range ats {
		if err := q.Offer(t.Context(), jobAt(at)); err != nil {
			t.Fatal(err)
		}
	}
	return q
}

// Rows come in order, and then the postponed ones as they are due. Each pause is twice as long as
// the last, or half of that if nothing else is left. A row keeps its state.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1, 2, 3)
		q.Fed()
		began := time.Now()
		var got []string
		for {
			j, ok := q.Next(t.Context())
			if !ok {
				break
			}
			got = append(got, fmt.Sprint(j.Row.At, j.Attempts, j.Doubt, time.Since(began)))
			if j.Row.At != 3 && j.Attempts < 2 {
				j.Attempts, j.Doubt = j.Attempts+1, j.Row.At == 2
				q.PutOff(j)
			}
			q.Ended()
		}
		want := "[1 0 false 0s 2 0 false 0s 3 0 false 0s 1 1 false 500ms 2 1 true 500ms " +
			"1 2 false 1.5s 2 2 true 1.5s]"
		if fmt.Sprint(got) != want {
			t.Errorf("got  %v\nwant %s", got, want)
		}
		if q.Deferred() != 0 {
			t.Errorf("%d are put off", q.Deferred())
		}
	})
}

// While jobs are held back none is returned, and the longest wait counts.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		q.Hold(3 * time.Second)
		q.Hold(time.Second)
		began := time.Now()
		if _, ok := q.Next(t.Context()); !ok || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", ok, time.Since(began))
		}
	})
}

// A worker waits as long as another may postpone its row. It stops when its context ends, or when a
// row cannot be read again.
func TestNextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 1)
		j, _ := q.Next(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, ok := q.Next(ctx); ok || ctx.Err() == nil {
			t.Errorf("%v, %v: want to wait until the context ends", ok, ctx.Err())
		}
		q.Fed()
		go func() {
			time.Sleep(time.Second)
			q.PutOff(j)
			q.Ended()
		}()
		if again, ok := q.Next(t.Context()); !ok || again.Row.At != 1 || again.Pause != FirstPause {
			t.Errorf("%+v, %v", again, ok)
		}
		q.read = func(int64) (rows.Row, bool) { return rows.Row{}, false }
		q.PutOff(j)
		if _, ok := q.Next(t.Context()); ok {
			t.Error("a row that cannot be read was returned")
		}
	})
}

// The input is read ahead by a number of rows, and by fewer if they are long.
func TestReadAhead(t *testing.T) {
	for _, tt := range []struct{ body, want int }{{0, ahead}, {aheadBytes / 4, 4}, {aheadBytes, 1}} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t)
			offered := 0
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for q.Offer(ctx, Job{Row: rows.Row{Body: make([]byte, tt.body)}}) == nil {
					offered++
				}
			}()
			synctest.Wait()
			if offered != tt.want {
				t.Errorf("%d rows of %d bytes were read ahead, want %d", offered, tt.body, tt.want)
			}
			cancel()
		})
	}
}
