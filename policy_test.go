package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/mark"
	"github.com/rebound-go/rebound/limit"
)

// Rule 15: the error names an invalid value and the valid ones, and contains fn's error.
func TestInvalidPolicies(t *testing.T) {
	for _, row := range []struct {
		policy *rebound.Policy
		names  []string
	}{
		{&rebound.Policy{Attempts: -2}, []string{"Policy.Attempts is -2", "rebound.Unlimited"}},
		{&rebound.Policy{MaxElapsed: -1}, []string{"Policy.MaxElapsed is -1ns"}},
		{&rebound.Policy{AttemptTimeout: -time.Second}, []string{"Policy.AttemptTimeout is -1s"}},
		{&rebound.Policy{MaxRetryAfter: -1}, []string{"Policy.MaxRetryAfter"}},
		{&rebound.Policy{AttemptTimeout: time.Minute, MaxElapsed: time.Second},
			[]string{"Policy.AttemptTimeout is 1m0s", "MaxElapsed"}},
		{&rebound.Policy{Backoff: backoff.Exponential{Base: -1}}, []string{"Policy.Backoff", "Base"}},
		{&rebound.Policy{Throttled: backoff.Constant(-1)}, []string{"Policy.Throttled"}},
		{&rebound.Policy{Budget: &budget.Budget{Capacity: -1}}, []string{"Policy.Budget", "Capacity"}},
		{&rebound.Policy{Breaker: &breaker.Breaker{Failures: -1}},
			[]string{"Policy.Breaker", "Failures"}},
	} {
		checkInvalid(t, row.policy, row.names)
	}
	for _, p := range []*rebound.Policy{nil, {}, {Attempts: rebound.Unlimited}, {
		AttemptTimeout: time.Second, MaxElapsed: time.Second, Budget: budget.Unlimited,
	}} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// checkInvalid checks that p is invalid, that the error has the names, and that every call ends.
func checkInvalid(t *testing.T, p *rebound.Policy, names []string) {
	t.Helper()
	err := p.Validate()
	if err == nil {
		t.Errorf("%q: valid", names)
		return
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q lacks %q", err, name)
		}
	}
	calls := 0
	err = rebound.Run(t.Context(), p, failing(&calls, errFlaky))
	if calls > 1 || !errors.Is(err, rebound.Invalid) || !strings.Contains(err.Error(), names[0]) {
		t.Errorf("got %d calls and %v, want one at most and %q", calls, err, names[0])
	}
	if calls == 1 && !errors.Is(err, errFlaky) {
		t.Errorf("%v has lost fn's error", err)
	}
}

// A gate is not nil, is valid, and is listed once.
func TestInvalidGates(t *testing.T) {
	same := &breaker.Breaker{}
	twice := named{&breaker.Breaker{}}
	for _, row := range []struct {
		policy *rebound.Policy
		names  []string
	}{
		{&rebound.Policy{Gates: []gate.Gate{nil}}, []string{"Policy.Gates[0] is nil"}},
		{&rebound.Policy{Gates: []gate.Gate{same}, Breaker: same},
			[]string{"Policy.Gates[0] is Policy.Breaker"}},
		{&rebound.Policy{Gates: []gate.Gate{&limit.Concurrency{}, &limit.Rate{Burst: -1}}},
			[]string{"Policy.Gates[1]", "limit.Rate: Burst"}},
		{&rebound.Policy{Gates: []gate.Gate{&bulkhead{}, same, same}},
			[]string{"Policy.Gates[2] is Policy.Gates[1]", "one place"}},
		{&rebound.Policy{Gates: []gate.Gate{same, &bulkhead{}}, Breaker: same},
			[]string{"Policy.Gates[0] is Policy.Breaker"}},
		{&rebound.Policy{Gates: []gate.Gate{twice, &bulkhead{}, twice}},
			[]string{"Policy.Gates[2] is Policy.Gates[0]"}},
	} {
		checkInvalid(t, row.policy, row.names)
	}
	for _, gates := range [][]gate.Gate{
		{&bulkhead{}, &bulkhead{}, entering(nil), entering(nil), uncomparable{}},
		{&waiting{}, &waiting{}, uncomparable{}, uncomparable{}},
	} {
		if err := (&rebound.Policy{Gates: gates}).Validate(); err != nil {
			t.Error(err)
		}
	}
}

// named is a value that holds a gate, and uncomparable one that == panics for.
type (
	named        struct{ gate.Gate }
	uncomparable struct {
		waiting
		_ []int
	}
)

// Clone copies every exported field, and the list of gates, but not the policy's own budget.
func TestClone(t *testing.T) {
	p := &rebound.Policy{
		Name: "p", Attempts: 20, Backoff: atOnce, Throttled: atOnce, MaxElapsed: time.Hour,
		AttemptTimeout: time.Minute, MaxRetryAfter: time.Second, Classify: fault.Of,
		RetryIf:       func(fault.Fault) bool { return true },
		NonIdempotent: true, Budget: &budget.Budget{}, Breaker: &breaker.Breaker{},
		Gates: []gate.Gate{waiting{}}, Observe: func(context.Context, rebound.Event) {},
	}
	q := p.Clone()
	for i := range reflect.TypeFor[rebound.Policy]().NumField() {
		f := reflect.TypeFor[rebound.Policy]().Field(i)
		a, b := reflect.ValueOf(p).Elem().Field(i), reflect.ValueOf(q).Elem().Field(i)
		if f.IsExported() && (b.IsZero() || a.Kind() != reflect.Func && a.Kind() !=
			reflect.Slice && !a.Equal(b)) {
			t.Errorf("Clone has not copied %s", f.Name)
		}
	}
	q.Gates[0] = nil
	if p.Gates[0] == nil {
		t.Error("the clone shares the list of gates")
	}
	if c := (*rebound.Policy)(nil).Clone(); c == nil || c.Attempts != 0 {
		t.Errorf("Clone of nil: got %+v", c)
	}
}

// Rules 12 and 14: every policy variable has its own budget, and a clone has a new one.
func TestOwnBudgets(t *testing.T) {
	spend := func(p *rebound.Policy) (retries int) {
		for p.RetryBudget().Take() == nil {
			retries++
		}
		return retries
	}
	p, q := &rebound.Policy{}, &rebound.Policy{Attempts: 30}
	if got := spend(p); got != 10 {
		t.Errorf("a policy allowed %d retries on end, want 10", got)
	}
	if got := spend(q); got != 29 {
		t.Errorf("30 attempts allowed %d retries on end, want 29", got)
	}
	if got := spend(p.Clone()); got != 10 {
		t.Errorf("a clone allowed %d retries on end, want 10", got)
	}
	if got := spend(p); got != 0 {
		t.Errorf("the policy allowed %d more retries, want 0", got)
	}
	err := p.RetryBudget().Take()
	if !errors.Is(err, budget.ErrEmpty) || !strings.Contains(err.Error(), "budget.Unlimited") {
		t.Errorf("the rejection %v has no advice", err)
	}
	for _, p := range []*rebound.Policy{
		{Attempts: rebound.Unlimited}, {Budget: budget.Unlimited},
	} {
		p.Backoff = atOnce
		for range 100 {
			calls := 0
			_ = rebound.Run(t.Context(), p, func(context.Context) error {
				if calls++; calls == 3 {
					return nil
				}
				return errFlaky
			})
			if calls != 3 {
				t.Fatalf("Attempts %d: got %d calls, want 3", p.Attempts, calls)
			}
		}
	}
}

// Rule 12: whatever the headers in an outage, every retry is charged, except after RateLimited.
func TestWhatABudgetIsChargedFor(t *testing.T) {
	for _, row := range []struct {
		kind  fault.Kind
		after time.Duration
		spent float64
	}{
		{fault.Transient, 0, 2}, {fault.Transient, 1, 2}, {fault.Unknown, 0, 2},
		{fault.Overloaded, 0, 2}, {fault.Overloaded, 1, 2},
		{fault.RateLimited, 0, 0}, {fault.RateLimited, 1, 0},
	} {
		p := &rebound.Policy{Backoff: atOnce, Throttled: atOnce}
		_ = rebound.Run(t.Context(), p, func(context.Context) error {
			return mark.New(errFlaky, row.kind, row.after)
		})
		spent := 10 - p.RetryBudget().Level() // time refills it
		if spent > row.spent || spent < row.spent-0.5 {
			t.Errorf("%v, Retry-After %v: two retries cost %v tokens, want %v",
				row.kind, row.after, spent, row.spent)
		}
	}
}

// The budget that a policy draws on can be looked at.
func TestRetryBudget(t *testing.T) {
	for _, c := range []struct {
		p    *rebound.Policy
		want float64 // capacity; 0 = no budget
	}{
		{nil, 10}, {&rebound.Policy{}, 10},
		{&rebound.Policy{Attempts: 50}, 49},
		{&rebound.Policy{Attempts: rebound.Unlimited}, 0},
		{&rebound.Policy{Budget: budget.Unlimited}, 0},
		{&rebound.Policy{Attempts: rebound.Unlimited, Budget: &budget.Budget{Capacity: 3}}, 3},
	} {
		b := c.p.RetryBudget()
		got := 0.0
		if b != nil {
			got = b.Capacity
		}
		if got != c.want {
			t.Errorf("Attempts %d: got a budget of %v, want %v", c.p.Attempts, got, c.want)
		}
	}
}

func TestOutOfBudget(t *testing.T) {
	p := &rebound.Policy{Backoff: backoff.Constant(0), Name: "batch"}
	var err error
	calls := 0
	for range 100 {
		err = rebound.Run(t.Context(), p, failing(&calls, errFlaky))
	}
	if calls != 110 || !errors.Is(err, rebound.OutOfBudget) || !errors.Is(err, errFlaky) ||
		!errors.Is(err, budget.ErrEmpty) {
		t.Errorf("got %d calls, want 100 and 10 retries, and %v", calls, err)
	}
	if !strings.Contains(err.Error(), "fixed number of workers") {
		t.Errorf("%q lacks the purpose of the budget", err)
	}
}

// traffic counts the results of calls under a policy.
type traffic struct{ calls, attempts, ok, denied int }

// drive makes calls at a steady pace, whose attempts fail with probability p, and returns the
// results of each period. Retries come at once, so each is in the period of its call.
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

// Rule 12: with one call a minute to a service that is down, every call makes all its attempts, for
// ever.
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

// Rule 12: with independent failures, almost no retry is lost until there are so many failures that
// something else must be wrong. The figures are exact for the seed.
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
		{0.30, nil, 24499, 24524},         // a service in this state must not get more load
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

// Rule 12: in a total outage at 100 calls/s the load stays within 1.1 times the calls over any
// 10 s, whatever the failures are and whatever headers come with them.
func TestOutageIsNotMadeWorse(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Unknown, fault.Transient, fault.Overloaded} {
		for _, after := range []time.Duration{0, time.Millisecond, time.Second} {
			synctest.Test(t, func(t *testing.T) {
				p := &rebound.Policy{Attempts: 5}
				var attempts []time.Time
				var calls sync.WaitGroup
				var mu sync.Mutex
				begin := time.Now()
				for range 3000 {
					calls.Go(func() {
						_ = rebound.Run(t.Context(), p, func(context.Context) error {
							mu.Lock()
							attempts = append(attempts, time.Now())
							mu.Unlock()
							return mark.New(errFlaky, kind, after)
						})
					})
					time.Sleep(10 * time.Millisecond)
				}
				calls.Wait()
				for from := range 20 {
					start := begin.Add(time.Duration(from) * time.Second)
					n := 0
					for _, at := range attempts {
						if !at.Before(start) && at.Before(start.Add(10*time.Second)) {
							n++
						}
					}
					if n > 1100 {
						t.Errorf("%v, Retry-After %v: %d attempts for 1000 calls in the 10 s from %v",
							kind, after, n, from)
					}
				}
			})
		}
	}
}

// A rate limit is not an outage: 50 workers that each get one 429 lose nothing.
func TestRateLimitLosesNoCall(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p := &rebound.Policy{}
			var workers sync.WaitGroup
			for range 50 {
				workers.Go(func() {
					n := 0
					if err := rebound.Run(t.Context(), p, func(context.Context) error {
						if n++; n == 1 {
							return mark.New(errFlaky, fault.RateLimited, after)
						}
						return nil
					}); err != nil {
						t.Errorf("lost: %v", err)
					}
				})
			}
			workers.Wait()
		})
	}
}
