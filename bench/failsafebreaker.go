package bench

import (
	"context"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/timeout"
)

const failsafePermits = "permits by hand, no executor"

var failsafeBreakers = []Entry{
	{"breaker_closed", "failsafe", Peer, "", func() Op { return failsafeGet(newFailsafe()) },
		nil, nil},
	{"breaker_closed", "failsafe-permit", Peer, failsafePermits, func() Op {
		return failsafePermit(newFailsafe())
	}, nil, nil},
	{"breaker_open", "failsafe", Peer, "", func() Op { return failsafeGet(opened(newFailsafe())) },
		nil, nil},
	{"breaker_open", "failsafe-permit", Peer, failsafePermits, func() Op {
		return failsafePermit(opened(newFailsafe()))
	}, nil, nil},
	{"breaker_window", "failsafe", Peer, "10 buckets", func() Op {
		return failsafeGet(newFailsafeWindow())
	}, nil, nil},
	{"breaker_window", "failsafe-permit", Peer, failsafePermits, func() Op {
		return failsafePermit(newFailsafeWindow())
	}, nil, nil},
	{"breaker_keyed", "failsafe", Peer, "no registry: sync.Map", failsafeKeyed, nil, nil},
	{"stack", "failsafe", Peer, failsafeBlind, func() Op {
		x := failsafe.With(failsafeAll()...)
		return func(_ context.Context, id int) (int, error) {
			return x.GetWithExecution(func(e failsafe.Execution[int]) (int, error) {
				return work(e.Context(), id)
			})
		}
	}, nil, nil},
	{"stack", "failsafe+ctx", Peer, "WithContext per call", func() Op {
		return failsafeGetCtx(failsafeAll()...)
	}, nil, nil},
	{"held_breaker", "failsafe-permit", Peer, "without an executor", nil, nil,
		held(newFailsafe, failsafeTouch)},
	{"held_window", "failsafe-permit", Peer, "without an executor", nil, nil,
		held(newFailsafeWindow, failsafeTouch)},
	{"held_key", "failsafe-permit", Peer, "no registry: sync.Map", nil, nil,
		heldInMap(newFailsafe, failsafeTouch)},
}

func newFailsafe() circuitbreaker.CircuitBreaker[int] {
	return circuitbreaker.NewBuilder[int]().WithFailureThreshold(5).WithDelay(time.Hour).Build()
}

func newFailsafeWindow() circuitbreaker.CircuitBreaker[int] {
	return circuitbreaker.NewBuilder[int]().WithFailureRateThreshold(.5, 100, 10*time.Second).
		WithDelay(time.Hour).Build()
}

func opened(b circuitbreaker.CircuitBreaker[int]) circuitbreaker.CircuitBreaker[int] {
	b.Open()
	return b
}

func failsafeTouch(b circuitbreaker.CircuitBreaker[int]) { b.RecordSuccess() }

func failsafePermit(b circuitbreaker.CircuitBreaker[int]) Op {
	return func(ctx context.Context, id int) (int, error) {
		if !b.TryAcquirePermit() {
			return 0, circuitbreaker.ErrOpen
		}
		v, err := work(ctx, id)
		if err != nil {
			b.RecordError(err)
		} else {
			b.RecordSuccess()
		}
		return v, err
	}
}

func failsafeKeyed() Op {
	var m sync.Map
	for _, k := range keys {
		m.Store(k, failsafe.With[int](newFailsafe()))
	}
	return func(ctx context.Context, id int) (int, error) {
		x, _ := m.Load(keys[id&1023])
		return x.(failsafe.Executor[int]).Get(func() (int, error) { return work(ctx, id) })
	}
}

func failsafeAll() []failsafe.Policy[int] {
	return []failsafe.Policy[int]{
		failsafeRetry().Build(), newFailsafe(), timeout.New[int](callTimeout),
	}
}
