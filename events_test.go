package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

type key struct{}

// watch returns a listener that writes each event into log as a line.
func watch(t *testing.T, log *[]string) func(context.Context, rebound.Event) {
	return func(ctx context.Context, e rebound.Event) {
		if ctx.Value(key{}) != "mine" {
			t.Error("the event does not carry the caller's context")
		}
		*log = append(*log, fmt.Sprintf("%s %s %d %v %v %v %v", e.Kind, e.Policy, e.Attempt,
			e.Fault.Kind, e.Delay, e.Elapsed, e.Reason))
	}
}

// Every call's events, in order and exact.
func TestEvents(t *testing.T) {
	fails := func(n int) func(context.Context) error {
		return func(context.Context) error {
			if n--; n >= 0 {
				return errFlaky
			}
			return nil
		}
	}
	open := &breaker.Breaker{}
	open.ForceOpen()
	second := backoff.Constant(time.Second)
	for _, row := range []struct {
		name   string
		policy *rebound.Policy
		fn     func(context.Context) error
		want   []string
	}{
		{"first try", &rebound.Policy{}, fails(0), []string{"succeeded p 1 none 0s 0s "}},
		{"second try", &rebound.Policy{}, fails(1), []string{
			"retrying p 1 unknown 1s 0s ", "succeeded p 2 none 0s 1s "}},
		{"exhausted", &rebound.Policy{}, fails(9), []string{
			"retrying p 1 unknown 1s 0s ", "retrying p 2 unknown 1s 1s ",
			"gave_up p 3 unknown 0s 2s exhausted"}},
		{"permanent", &rebound.Policy{},
			func(context.Context) error { return rebound.Permanent(errFlaky) },
			[]string{"gave_up p 1 permanent 0s 0s not_retryable"}},
		{"no budget", &rebound.Policy{Budget: &budget.Budget{Capacity: 1}}, fails(9), []string{
			"retrying p 1 unknown 1s 0s ", "gave_up p 2 unknown 0s 1s out_of_budget"}},
		{"breaker open", &rebound.Policy{Breaker: open}, fails(9), []string{
			"gave_up p 0 unknown 0s 0s rejected"}},
		{"breaker opens", &rebound.Policy{Breaker: &breaker.Breaker{Failures: 1}}, fails(9),
			[]string{"gave_up p 1 unknown 0s 0s rejected"}},
		{"invalid", &rebound.Policy{MaxRetryAfter: -1}, fails(9), []string{
			"gave_up p 1 unknown 0s 0s invalid"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log, second2 []string
				row.policy.Name, row.policy.Backoff = "p", second
				row.policy.Observe = rebound.Observers(watch(t, &log), nil, watch(t, &second2))
				ctx := context.WithValue(t.Context(), key{}, "mine")
				_ = rebound.Run(ctx, row.policy, row.fn)
				if !slices.Equal(log, row.want) {
					t.Errorf("got\n%q\nwant\n%q", log, row.want)
				}
				if !slices.Equal(log, second2) {
					t.Errorf("the second listener heard %q, the first %q", second2, log)
				}
			})
		})
	}
}

func TestGaveUpCarriesTheErrorReturned(t *testing.T) {
	var heard error
	err := rebound.Run(t.Context(), &rebound.Policy{Backoff: atOnce,
		Observe: func(_ context.Context, e rebound.Event) { heard = e.Err }},
		failing(new(int), errFlaky))
	if heard != err {
		t.Errorf("heard %v, returned %v", heard, err)
	}
}

// Rule 13: a listener may use the policy and the breaker that it hears from.
func TestObserveMayCallBack(t *testing.T) {
	b := &breaker.Breaker{Failures: 1}
	var p *rebound.Policy
	nested := 0
	p = &rebound.Policy{Backoff: atOnce, Breaker: b,
		Observe: func(ctx context.Context, e rebound.Event) {
			if e.Kind != rebound.GaveUp {
				return
			}
			b.Reset()
			p.Observe = nil
			_ = rebound.Run(ctx, p, failing(&nested, nil))
		}}
	err := rebound.Run(t.Context(), p, failing(new(int), errFlaky))
	if nested != 1 || !errors.Is(err, errFlaky) {
		t.Errorf("got %d nested calls and %v", nested, err)
	}
}

// A scheduled retry whose wait is cut short gives its token back.
func TestCanceledWaitReturnsItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget.Budget{}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		p := &rebound.Policy{Budget: b, Backoff: backoff.Constant(time.Minute)}
		_ = rebound.Run(ctx, p, failing(new(int), errFlaky))
		if got := b.Level(); got != 10 {
			t.Errorf("got %v tokens left, want all 10", got)
		}
	})
}

// An answer is no failure: it pays the deposit that a success pays.
func TestAnswerDeposits(t *testing.T) {
	b := &budget.Budget{Refill: 1e-9}
	b.Take()
	before := b.Level()
	answer := func(err error) fault.Fault { return fault.Fault{Kind: fault.None} }
	_ = rebound.Run(t.Context(), &rebound.Policy{Budget: b, Classify: answer},
		failing(new(int), errFlaky))
	if got := b.Level() - before; got < 0.099 || got > 0.101 {
		t.Errorf("the level rose by %v, want 0.1", got)
	}
}
