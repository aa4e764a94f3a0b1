package bench

import (
	"context"
	"errors"
	"time"

	"github.com/avast/retry-go/v5"
)

var avastEntries = []Entry{
	{"retry_ok", "avast", Peer, "context fixed when the retrier is built", avastOK, nil, nil},
	{"retry_ok", "avast+ctx", Peer, "retrier built per call, to pass the context", avastCtx,
		nil, nil},
	{"retry_2fail", "avast", Peer, "context fixed when the retrier is built", avastFlaky, nil, nil},
	{"delay", "avast", Peer, "exponential plus a random part of fixed width",
		avastDelay(retry.CombineDelay(retry.BackOffDelay, retry.RandomDelay)), nil, nil},
	{"delay", "avast-full", Peer, "FullJitterBackoffDelay",
		avastDelay(retry.FullJitterBackoffDelay), nil, nil},
	{"budget_ok", "avast", Peer, "token bucket, OnSuccess(0)", func() Op {
		b := avastBudget()
		return func(context.Context, int) (int, error) { b.OnSuccess(0); return 0, nil }
	}, nil, nil},
	{"budget_debt", "avast", Peer, "token bucket, OnSuccess(0)", avastDebt, nil, nil},
	{"budget_take", "avast", Peer, "AllowRetry, OnSuccess(1)", func() Op {
		b := avastBudget()
		return func(context.Context, int) (int, error) {
			if !b.AllowRetry(0, errTransient) {
				return 0, errors.New("throttled")
			}
			b.OnSuccess(1)
			return 0, nil
		}
	}, nil, nil},
}

func avastRetrier(more ...retry.Option) *retry.RetrierWithData[int] {
	return retry.NewWithData[int](append([]retry.Option{
		retry.Attempts(3), retry.Delay(baseDelay), retry.MaxDelay(maxDelay),
		retry.LastErrorOnly(true),
	}, more...)...)
}

func avastOK() Op {
	r := avastRetrier()
	return func(ctx context.Context, id int) (int, error) {
		return r.Do(func() (int, error) { return work(ctx, id) })
	}
}

func avastCtx() Op {
	return func(ctx context.Context, id int) (int, error) {
		return retry.NewWithData[int](retry.Attempts(3), retry.Delay(baseDelay),
			retry.MaxDelay(maxDelay), retry.LastErrorOnly(true), retry.Context(ctx)).
			Do(func() (int, error) { return work(ctx, id) })
	}
}

func avastFlaky() Op {
	r := avastRetrier(retry.Delay(0), retry.DelayType(retry.FixedDelay))
	return func(ctx context.Context, id int) (int, error) {
		n := 0
		return r.Do(func() (int, error) { return flaky(ctx, &n, id) })
	}
}

// avastConfig is a retry.DelayContext, which computes a delay without a retry.
type avastConfig struct{}

func (avastConfig) Delay() time.Duration     { return baseDelay }
func (avastConfig) MaxJitter() time.Duration { return baseDelay }
func (avastConfig) MaxBackOffN() uint        { return 36 }
func (avastConfig) MaxDelay() time.Duration  { return maxDelay }

func avastDelay(f retry.DelayTypeFunc) func() Op {
	return func() Op {
		var config retry.DelayContext = avastConfig{}
		return func(_ context.Context, id int) (int, error) {
			return int(f(uint(id&7)+1, errTransient, config)), nil
		}
	}
}

// avastDebt has a bucket that is half empty, and never becomes full.
func avastDebt() Op {
	b := retry.NewFixedTokenBucketThrottle(retry.FixedTokenBucketThrottleConfig{
		MaxCapacity: 1 << 60, ThrottleCost: 1 << 59,
	})
	b.AllowRetry(0, errTransient)
	return func(context.Context, int) (int, error) { b.OnSuccess(0); return 0, nil }
}

func avastBudget() *retry.FixedTokenBucketThrottleManager {
	return retry.NewFixedTokenBucketThrottle(retry.FixedTokenBucketThrottleConfig{})
}
