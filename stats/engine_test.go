package stats_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/stats"
)

// moody is a gate that rejects one attempt in eight.
type moody struct{ r *rand.Rand }

var errMoody = errors.New("not now")

func (m moody) Enter(context.Context) (gate.Pass, error) {
	if m.r.IntN(8) == 0 {
		return gate.Pass{}, errMoody
	}
	return gate.Pass{}, nil
}

func (m moody) Leave(gate.Pass, gate.Outcome) {}

// TestEngine makes calls that end in every possible way. Whatever the events, the counts must match
// those of fn itself.
func TestEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		var rec stats.Recorder
		var attempts, failures, good, calls int64
		for range 3000 {
			p := &rebound.Policy{
				Attempts: 1 + r.IntN(5), Backoff: backoff.Constant(time.Second),
				MaxElapsed: time.Duration(r.IntN(2)) * 10 * time.Second, Budget: budget.Unlimited,
				Gates: []gate.Gate{moody{r}}, Observe: rec.Observe,
			}
			if r.IntN(4) == 0 {
				p.AttemptTimeout = time.Second
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Duration(r.IntN(12000))*time.Millisecond, cancel)
			if r.IntN(20) == 0 {
				cancel()
			}
			calls++
			err := rebound.Run(ctx, p, func(ctx context.Context) error {
				attempts++
				err := misbehave(ctx, r)
				if err != nil {
					failures++
				}
				return err
			})
			if err == nil {
				good++
			}
			cancel()
		}
		s := rec.Snapshot()
		checkConsistent(t, s)
		var got int64
		for _, n := range s.Total.Faults {
			got += n
		}
		if got != failures || s.Total.Attempts != attempts || s.Total.Calls != calls ||
			s.Total.Succeeded != good {
			t.Errorf("%d faults, %d attempts, %d calls, %d good; want %d, %d, %d, %d", got,
				s.Total.Attempts, s.Total.Calls, s.Total.Succeeded, failures, attempts, calls, good)
		}
		for _, reason := range []rebound.Reason{
			rebound.Exhausted, rebound.NotRetryable, rebound.Canceled, rebound.PastElapsed,
			rebound.Rejected,
		} {
			if s.Total.Stops[reason] == 0 {
				t.Errorf("no call ended for reason %q: %v", reason, s.Total.Stops)
			}
		}
	})
}

// misbehave succeeds, fails, or hangs until ctx ends.
func misbehave(ctx context.Context, r *rand.Rand) error {
	switch r.IntN(6) {
	case 0:
		return nil
	case 1:
		return rebound.Permanent(errTest)
	case 2:
		return rebound.RetryAfter(errTest, 3*time.Second)
	case 3:
		<-ctx.Done()
		return ctx.Err()
	case 4:
		select {
		case <-ctx.Done():
			return errTest // what ended it is lost
		case <-time.After(time.Second):
			return nil
		}
	}
	return errTest
}
