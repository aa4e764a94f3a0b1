package rebound_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/mark"
)

// Rule 15: a value that makes no sense is named, with what would be right, and fn's error is kept.
func TestInvalidPolicies(t *testing.T) {
	same := &breaker.Breaker{}
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
		{&rebound.Policy{Gates: []gate.Gate{nil}}, []string{"Policy.Gates[0] is nil"}},
		{&rebound.Policy{Gates: []gate.Gate{same}, Breaker: same},
			[]string{"Policy.Gates[0] is Policy.Breaker"}},
	} {
		err := row.policy.Validate()
		if err == nil {
			t.Errorf("%q: valid", row.names)
			continue
		}
		for _, name := range row.names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%q does not say %q", err, name)
			}
		}
		calls := 0
		err = rebound.Run(t.Context(), row.policy, failing(&calls, errFlaky))
		if calls > 1 || !errors.Is(err, rebound.Invalid) ||
			!strings.Contains(err.Error(), row.names[0]) {
			t.Errorf("got %d calls and %v, want one at most and %q", calls, err, row.names[0])
		}
		if calls == 1 && !errors.Is(err, errFlaky) {
			t.Errorf("%v has lost fn's error", err)
		}
	}
	for _, p := range []*rebound.Policy{nil, {}, {Attempts: rebound.Unlimited}, {
		AttemptTimeout: time.Second, MaxElapsed: time.Second, Budget: budget.Unlimited,
	}} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

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

// Rules 12 and 14: a budget of its own for every policy variable, fresh in a clone.
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
		t.Errorf("the refusal %v does not say what to do", err)
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

// Rule 12: whatever headers an outage sends, retries are charged, but those after RateLimited.
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
		if spent := 10 - p.RetryBudget().Level(); math.Abs(spent-row.spent) > 0.1 {
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
		t.Errorf("%q does not say what the budget is for", err)
	}
}

func TestSchedule(t *testing.T) {
	s := time.Second
	for _, row := range []struct {
		policy *rebound.Policy
		n      int
		want   []time.Duration
	}{
		{nil, 4, []time.Duration{s / 10, s / 5, 2 * s / 5, 4 * s / 5}},
		{&rebound.Policy{Backoff: backoff.Exponential{Base: s, Max: 5 * s}}, 5,
			[]time.Duration{s, 2 * s, 4 * s, 5 * s, 5 * s}},
		{nil, 0, nil}, {nil, -1, nil},
	} {
		if got := row.policy.Schedule(row.n); !slices.Equal(got, row.want) {
			t.Errorf("got %v, want %v", got, row.want)
		}
	}
}

// What Decide says to each kind of failure.
func TestDecideKinds(t *testing.T) {
	careful := &rebound.Policy{NonIdempotent: true}
	for _, row := range []struct {
		policy *rebound.Policy
		fault  fault.Fault
		want   rebound.Reason
	}{
		{nil, fault.Fault{Kind: fault.None}, rebound.NotRetryable},
		{nil, fault.Fault{Kind: fault.Unknown}, ""},
		{nil, fault.Fault{Kind: fault.Transient}, ""},
		{nil, fault.Fault{Kind: fault.RateLimited}, ""},
		{nil, fault.Fault{Kind: fault.Overloaded}, ""},
		{nil, fault.Fault{Kind: fault.Permanent}, rebound.NotRetryable},
		{nil, fault.Fault{Kind: fault.Canceled}, rebound.Canceled},
		{careful, fault.Fault{Kind: fault.Transient}, rebound.NotIdempotent},
		{careful, fault.Fault{Kind: fault.Transient, Sent: fault.NotSent}, ""},
		{careful, fault.Fault{Kind: fault.Overloaded, Sent: fault.NotDone}, ""},
		{careful, fault.Fault{Kind: fault.Permanent}, rebound.NotRetryable},
	} {
		d := row.policy.Decide(rebound.State{Attempt: 1, U: 0.5}, row.fault)
		if d.Reason != row.want || d.Retry != (row.want == "") {
			t.Errorf("%+v: got %+v, want reason %q", row.fault, d, row.want)
		}
	}
}

// The waits for rate limits are four times the others, unless Throttled says otherwise.
func TestThrottledWaits(t *testing.T) {
	p := &rebound.Policy{Attempts: 9, Backoff: backoff.Exponential{Base: time.Second, Max: 1e11}}
	limited := fault.Fault{Kind: fault.RateLimited}
	for n := 1; n <= 4; n++ {
		d := p.Decide(rebound.State{Attempt: n, U: -1}, limited)
		if want := 4 * time.Second << (n - 1); d.Delay != want {
			t.Errorf("attempt %d: got %v, want %v", n, d.Delay, want)
		}
	}
	// Decorrelated waits grow from the one before: from that wait as Backoff gave it.
	d := &rebound.Policy{Attempts: 9, Backoff: backoff.Decorrelated{Max: time.Hour}}
	prev := time.Duration(0)
	for n, want := range []time.Duration{1200, 3600, 10800, 32400} {
		prev = d.Decide(rebound.State{Attempt: n + 1, Prev: prev, U: -1}, limited).Delay
		if prev != want*time.Millisecond {
			t.Errorf("decorrelated, wait %d: got %v, want %v", n+1, prev, want*time.Millisecond)
		}
	}
	p.Throttled = backoff.Constant(time.Minute)
	if d := p.Decide(rebound.State{Attempt: 1, U: -1}, limited); d.Delay != time.Minute {
		t.Errorf("Throttled: got %v", d.Delay)
	}
}

// Whatever goes in: no panic, no negative wait, and a Retry or a Reason, never both.
func FuzzDecide(f *testing.F) {
	f.Add(1, int64(0), int64(0), int64(0), 0.5, uint8(2), int64(0), 3, int64(1e8), int64(0))
	f.Add(math.MaxInt, int64(-1), int64(math.MaxInt64), int64(1), math.NaN(), uint8(3),
		int64(math.MaxInt64), -1, int64(math.MaxInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, attempt int, elapsed, prev, left int64, u float64, kind uint8,
		after int64, attempts int, base, maxElapsed int64,
	) {
		p := &rebound.Policy{Attempts: attempts, MaxElapsed: time.Duration(maxElapsed),
			MaxRetryAfter: math.MaxInt64,
			Backoff:       backoff.Exponential{Base: time.Duration(base), Max: math.MaxInt64}}
		s := rebound.State{Attempt: attempt, Elapsed: time.Duration(elapsed),
			Prev: time.Duration(prev), Left: time.Duration(left), U: u}
		fl := fault.Fault{Kind: fault.Kind(kind % 7), After: time.Duration(after)}
		d := p.Decide(s, fl)
		if d.Retry == (d.Reason != "") || d.Delay < 0 || !d.Retry && d.Delay != 0 {
			t.Errorf("got %+v", d)
		}
		if d.Retry && d.Delay < fl.After {
			t.Errorf("waits %v, less than the %v asked for", d.Delay, fl.After)
		}
		if d.Retry && left != 0 && d.Delay >= s.Left {
			t.Errorf("waits %v with %v left", d.Delay, s.Left)
		}
		if again := p.Decide(s, fl); again != d {
			t.Errorf("got %+v, then %+v", d, again)
		}
	})
}
