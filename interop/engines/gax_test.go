package engines

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/googleapis/gax-go/v2"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
)

// gaxRetryer adapts one call's loop to gax's Retryer. Gax makes the attempts and the delays.
type gaxRetryer struct{ rebound.Loop }

// withPolicy returns a call option. ctx must be the context of the call.
func withPolicy(ctx context.Context, p *rebound.Policy) gax.CallOption {
	return gax.WithRetry(func() gax.Retryer { // gax calls this once for each call
		r := &gaxRetryer{rebound.Begin(ctx, p)}
		r.Sleep = func(context.Context, time.Duration) {}
		return r
	})
}

// Retry implements gax.Retryer.
func (r *gaxRetryer) Retry(err error) (time.Duration, bool) {
	d := r.Decide(err)
	if !d.Retry {
		_ = r.Stop(d.Reason, nil)
		return 0, false
	}
	return d.Delay, r.Loop.Retry(d.Delay) == nil
}

func TestGax(t *testing.T) {
	open := &breaker.Breaker{}
	open.ForceOpen()
	short, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, test := range map[string]struct {
		ctx    context.Context
		policy *rebound.Policy
		err    error
		calls  int // an attempt after the second succeeds
	}{
		"transient": {t.Context(), &rebound.Policy{Backoff: backoff.Constant(0)}, errReset, 3},
		"permanent": {t.Context(), &rebound.Policy{}, rebound.Permanent(errReset), 1},
		"exhausted": {t.Context(), &rebound.Policy{Attempts: 2, Backoff: backoff.Constant(0)},
			errReset, 2},
		"past the deadline": {short, &rebound.Policy{},
			rebound.RetryAfter(errReset, 90*time.Second), 1},
		"Retry-After": {t.Context(), &rebound.Policy{Backoff: backoff.Constant(0)},
			rebound.RetryAfter(errReset, time.Millisecond), 3},
		"breaker": {t.Context(), &rebound.Policy{Breaker: open}, errReset, 1},
		"budget": {t.Context(), &rebound.Policy{Budget: spent(t), Backoff: backoff.Constant(0)},
			errReset, 1},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			for range 2 { // each call has its own attempts
				calls = 0
				err := gax.Invoke(test.ctx, func(context.Context, gax.CallSettings) error {
					if calls++; calls < 3 {
						return test.err
					}
					return nil
				}, withPolicy(test.ctx, test.policy))
				if calls != test.calls || (err == nil) != (calls == 3) ||
					err != nil && !errors.Is(err, errReset) {
					t.Errorf("%d calls: %v", calls, err)
				}
			}
		})
	}
}

// Each delay passes once, and the end of the call is an event.
func TestGaxDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kinds []rebound.EventKind
		p := &rebound.Policy{Backoff: backoff.Constant(time.Minute),
			Observe: func(_ context.Context, e rebound.Event) { kinds = append(kinds, e.Kind) }}
		start := time.Now()
		err := gax.Invoke(t.Context(), func(context.Context, gax.CallSettings) error {
			return errReset
		}, withPolicy(t.Context(), p))
		want := []rebound.EventKind{rebound.Retrying, rebound.Retrying, rebound.GaveUp}
		if d := time.Since(start); !errors.Is(err, errReset) || d != 2*time.Minute ||
			!slices.Equal(kinds, want) {
			t.Errorf("%v after %v, events %v", err, d, kinds)
		}
	})
}

// spent is a budget without a token.
func spent(t *testing.T) *budget.Budget {
	b := &budget.Budget{Capacity: 1}
	for b.Take() == nil {
	}
	return b
}
