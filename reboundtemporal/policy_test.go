package reboundtemporal_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/reboundtemporal"
)

type row struct {
	policy *rebound.Policy
	want   temporal.RetryPolicy
}

// data is the zero policy's.
var data = temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 2,
	MaximumInterval: 5 * time.Minute, MaximumAttempts: 3}

func with(change func(r *temporal.RetryPolicy)) temporal.RetryPolicy {
	r := data
	change(&r)
	return r
}

func intervals(first time.Duration, factor float64, limit time.Duration) temporal.RetryPolicy {
	return with(func(r *temporal.RetryPolicy) {
		r.InitialInterval, r.BackoffCoefficient, r.MaximumInterval = first, factor, limit
	})
}

func compare(t *testing.T, rows map[string]row) {
	for name, test := range rows {
		t.Run(name, func(t *testing.T) {
			got := reboundtemporal.RetryPolicy(test.policy)
			if !reflect.DeepEqual(*got, test.want) {
				t.Errorf("got  %+v\nwant %+v", *got, test.want)
			}
		})
	}
}

func TestRetryPolicy(t *testing.T) {
	compare(t, map[string]row{
		"nil":  {nil, data},
		"zero": {&rebound.Policy{}, data},
		"Unlimited": {&rebound.Policy{Attempts: rebound.Unlimited},
			with(func(r *temporal.RetryPolicy) { r.MaximumAttempts = 0 })},
		"one": {&rebound.Policy{Attempts: 1},
			with(func(r *temporal.RetryPolicy) { r.MaximumAttempts = 1 })},
		"very many": {&rebound.Policy{Attempts: math.MaxInt},
			with(func(r *temporal.RetryPolicy) { r.MaximumAttempts = math.MaxInt32 })},
		"invalid": {&rebound.Policy{Attempts: -2},
			with(func(r *temporal.RetryPolicy) { r.MaximumAttempts = 1 })},
		"invalid elsewhere": {&rebound.Policy{Attempts: 7, MaxElapsed: -1},
			with(func(r *temporal.RetryPolicy) { r.MaximumAttempts = 1 })},
		"NonIdempotent": {&rebound.Policy{NonIdempotent: true},
			with(func(r *temporal.RetryPolicy) {
				r.NonRetryableErrorTypes = []string{"TemporalTimeout:StartToClose",
					"TemporalTimeout:Heartbeat", "PanicError"}
			})},
		"no delay": {&rebound.Policy{Backoff: backoff.Constant(0)},
			intervals(time.Millisecond, 1, 5*time.Minute)},
		"constant": {&rebound.Policy{Backoff: backoff.Constant(time.Second)},
			intervals(time.Second, 1, 5*time.Minute)},
		"factor": {&rebound.Policy{Backoff: backoff.Exponential{Base: time.Second, Factor: 3}},
			intervals(time.Second, 3, 5*time.Minute)},
		"growing from nothing": {&rebound.Policy{Backoff: backoff.Linear{
			Base: time.Nanosecond, Step: time.Millisecond}},
			intervals(time.Millisecond, 1.000001, 5*time.Minute)},
	})
}

// The server shortens a delay to MaximumInterval.
func TestMaximumInterval(t *testing.T) {
	compare(t, map[string]row{
		"long": {&rebound.Policy{Backoff: backoff.Constant(time.Hour)},
			intervals(time.Hour, 1, 4*time.Hour)},
		"longer when throttled": {&rebound.Policy{Throttled: backoff.Constant(time.Hour)},
			intervals(100*time.Millisecond, 2, time.Hour)},
		"shorter when throttled": {&rebound.Policy{Backoff: backoff.Constant(time.Hour),
			Throttled: backoff.Constant(0)}, intervals(time.Hour, 1, time.Hour)},
		"as long as there is": {&rebound.Policy{Backoff: backoff.Constant(math.MaxInt64)},
			intervals(math.MaxInt64, 1, math.MaxInt64)},
		"MaxRetryAfter": {&rebound.Policy{MaxRetryAfter: time.Hour},
			intervals(100*time.Millisecond, 2, 75*time.Minute)},
		"any Retry-After": {&rebound.Policy{MaxRetryAfter: math.MaxInt64},
			intervals(100*time.Millisecond, 2, math.MaxInt64/5*5)},
		"grows for long": {&rebound.Policy{Attempts: rebound.Unlimited,
			Backoff: backoff.Exponential{Base: time.Second, Max: time.Hour}},
			temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2,
				MaximumInterval: 4 * time.Hour}},
	})
}
