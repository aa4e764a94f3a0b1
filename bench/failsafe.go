package bench

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

const failsafeBlind = "its policies do not get the call's context"

var failsafeEntries = []Entry{
	{"retry_ok", "failsafe", Peer, failsafeBlind, func() Op {
		return failsafeGet(failsafeRetry().Build())
	}, nil, nil},
	{"retry_ok", "failsafe+ctx", Peer, "WithContext per call", func() Op {
		return failsafeGetCtx(failsafeRetry().Build())
	}, nil, nil},
	{"retry_ok", "failsafe+budget", Peer, "with a retry budget", func() Op {
		return failsafeGet(failsafeRetry().WithBudget(budget.New()).Build())
	}, nil, nil},
	{"retry_2fail", "failsafe", Peer, failsafeBlind, failsafeFlaky, nil, nil},
	{"budget_ok", "failsafe", Peer, "share of calls in flight: counts up and down", func() Op {
		b := budget.New().(permits)
		return func(context.Context, int) (int, error) {
			b.RecordExecution()
			b.ReleaseExecution()
			return 0, nil
		}
	}, nil, nil},
	{"budget_take", "failsafe", Peer, "checks, then adds: may overshoot", failsafeTake, nil, nil},
	{"budget_take", "failsafe-ratelimiter", Reference, "a rate limiter; nothing is given back",
		failsafeLimiter, nil, nil},
	{"http_stub_ok", "failsafe", Peer, "", nil, failsafeClient, nil},
	{"http_stub_503", "failsafe", Peer, "leaves the 503's body open", nil, failsafeClient, nil},
	{"http_stub_503", "failsafe+drain", Peer, "a listener closes it", nil, failsafeDrain, nil},
	{"http_loop_ok", "failsafe", Peer, "", nil, failsafeClient, nil},
	{"http_loop_503", "failsafe", Peer, "leaves the 503's body open", nil, failsafeClient, nil},
	{"http_loop_503", "failsafe+drain", Peer, "a listener closes it", nil, failsafeDrain, nil},
}

func failsafeRetry() retrypolicy.Builder[int] {
	return retrypolicy.NewBuilder[int]().WithMaxAttempts(3).ReturnLastFailure().
		WithBackoff(baseDelay, maxDelay).WithJitterFactor(.5)
}

func failsafeGet(policies ...failsafe.Policy[int]) Op {
	x := failsafe.With(policies...)
	return func(ctx context.Context, id int) (int, error) {
		return x.Get(func() (int, error) { return work(ctx, id) })
	}
}

func failsafeGetCtx(policies ...failsafe.Policy[int]) Op {
	x := failsafe.With(policies...)
	return func(ctx context.Context, id int) (int, error) {
		return x.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[int]) (int, error) {
			return work(e.Context(), id)
		})
	}
}

func failsafeFlaky() Op {
	p := retrypolicy.NewBuilder[int]().WithMaxAttempts(3).ReturnLastFailure().Build()
	x := failsafe.With[int](p)
	return func(ctx context.Context, id int) (int, error) {
		n := 0
		return x.Get(func() (int, error) { return flaky(ctx, &n, id) })
	}
}

// permits are the methods of a budget of failsafe that its public interface hides.
type permits interface {
	RecordExecution()
	ReleaseExecution()
	TryAcquirePermit() bool
	ReleasePermit()
}

func failsafeTake() Op {
	b := budget.New().(permits)
	return func(context.Context, int) (int, error) {
		if !b.TryAcquirePermit() {
			return 0, errors.New("exceeded")
		}
		b.ReleasePermit()
		return 0, nil
	}
}

func failsafeLimiter() Op {
	l := ratelimiter.NewBursty[int](math.MaxUint&(1<<40-1), callTimeout)
	return func(context.Context, int) (int, error) {
		if !l.TryAcquirePermit() {
			return 0, errors.New("exceeded")
		}
		return 0, nil
	}
}

func failsafeClient(t http.RoundTripper) Doer {
	p := failsafehttp.NewRetryPolicyBuilder().Build()
	return (&http.Client{Transport: failsafehttp.NewRoundTripper(t, p)}).Do
}

func failsafeDrain(t http.RoundTripper) Doer {
	p := failsafehttp.NewRetryPolicyBuilder().OnRetryScheduled(
		func(e failsafe.ExecutionScheduledEvent[*http.Response]) {
			if r := e.LastResult(); r != nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
			}
		}).Build()
	return (&http.Client{Transport: failsafehttp.NewRoundTripper(t, p)}).Do
}
