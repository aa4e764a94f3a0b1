package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
)

// traffic is what became of a number of calls under a policy.
type traffic struct{ calls, attempts, ok, denied int }

// drive makes calls at a steady pace, each failing with probability p per attempt, and returns
// what became of them in each period. Retries come at once, so that a period has its own calls'.
func drive(
	t *testing.T, policy *rebound.Policy, pace time.Duration, p float64, period time.Duration,
	periods int,
) (each []traffic, all traffic) {
	t.Helper()
	dice := rand.New(rand.NewPCG(1, 2))
	for range periods {
		var tr traffic
		for end := time.Now().Add(period); time.Now().Before(end); <-time.After(pace) {
			tr.calls++
			err := rebound.Run(t.Context(), policy, func(context.Context) error {
				tr.attempts++
				if dice.Float64() < p {
					return errFlaky
				}
				return nil
			})
			if err == nil {
				tr.ok++
			}
			if errors.Is(err, rebound.OutOfBudget) {
				tr.denied++
			}
		}
		each = append(each, tr)
		all.calls += tr.calls
		all.attempts += tr.attempts
		all.ok += tr.ok
		all.denied += tr.denied
	}
	return each, all
}

// Rule 12: one call a minute to a dead service keeps all its attempts, for ever.
func TestLoneCallerKeepsItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, got := drive(t, &rebound.Policy{Backoff: atOnce}, time.Minute, 1, 24*time.Hour, 1)
		if want := (traffic{calls: 1440, attempts: 3 * 1440}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// Rule 12: in a total outage at 100 calls/s, the load stays at most 1.1 times the calls over any
// 10 s, from the first second on. The bucket's 10 retries go at once; after that 0.1/s trickle.
func TestTotalOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &rebound.Policy{Backoff: atOnce}
		each, all := drive(t, p, 10*time.Millisecond, 1, time.Second, 60)
		if first := each[0]; first.attempts-first.calls != 10 {
			t.Errorf("the first second added %d retries to %d calls, want 10",
				first.attempts-first.calls, first.calls)
		}
		for i := 10; i <= len(each); i++ {
			var calls, attempts int
			for _, tr := range each[i-10 : i] {
				calls, attempts = calls+tr.calls, attempts+tr.attempts
			}
			if float64(attempts) > 1.1*float64(calls) {
				t.Errorf("seconds %d to %d: %d attempts for %d calls", i-10, i, attempts, calls)
			}
		}
		if got := all.attempts - all.calls; got != 15 {
			t.Errorf("a minute added %d retries to %d calls, want 10 and 5 refilled", got, all.calls)
		}
	})
}

// Rule 12: independent failures lose hardly a retry until they are so many that something else
// must be wrong. The figures are exact for the seed.
func TestIndependentFailures(t *testing.T) {
	for _, row := range []struct {
		p      float64
		budget *budget.Budget
		denied int
		failed int
	}{
		{0.01, nil, 0, 0},
		{0.05, nil, 1, 13},                // one retry in 5,000 is lost
		{0.08, nil, 67, 118},              // 0.8 %
		{0.30, nil, 24499, 24524},         // a service in this state must not be pushed
		{0.30, budget.Unlimited, 0, 2738}, // 0.3³ of the calls have bad luck three times
	} {
		t.Run(fmt.Sprint(row.p, row.budget == budget.Unlimited), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				policy := &rebound.Policy{Backoff: atOnce, Budget: row.budget}
				_, got := drive(t, policy, 10*time.Millisecond, row.p, 1000*time.Second, 1)
				if failed := got.calls - got.ok; got.denied != row.denied ||
					failed != row.failed {
					t.Errorf("of %d calls %d lost a retry and %d failed; want %d and %d",
						got.calls, got.denied, failed, row.denied, row.failed)
				}
			})
		})
	}
}
