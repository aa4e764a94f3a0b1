package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/adaptivethrottler"

	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// adaptiveEntries are the limits that measure their calls. None of them rejects a call here.
var adaptiveEntries = []Entry{
	{"limit_adaptive", "floor", Floor, "two atomic adds, the clock twice", adaptiveFloor, nil, nil},
	{"limit_adaptive", "failsafe", Peer, "executor", func() Op {
		x := failsafe.With[int](adaptivelimiter.NewWithDefaults[int]())
		return func(ctx context.Context, id int) (int, error) {
			return x.Get(func() (int, error) { return work(ctx, id) })
		}
	}, nil, nil},
	{"limit_adaptive", "failsafe-permit", Peer, failsafePermits, adaptiveFailsafe, nil, nil},
	{"limit_adaptive", "rebound", Ours, bare, gateOp(work, newAdaptive), nil, nil},
	{"limit_adaptive", "rebound+do", Ours, throughDo, gateDo(work, newAdaptive), nil, nil},

	{"limit_throttle", "floor", Floor, "the clock and an atomic add", throttleFloor, nil, nil},
	{"limit_throttle", "failsafe", Peer, "executor", func() Op {
		x := failsafe.With[int](adaptivethrottler.NewWithDefaults[int]())
		return func(ctx context.Context, id int) (int, error) {
			return x.Get(func() (int, error) { return work(ctx, id) })
		}
	}, nil, nil},
	{"limit_throttle", "failsafe-permit", Peer, failsafePermits, throttleFailsafe, nil, nil},
	{"limit_throttle", "rebound", Ours, bare, gateOp(work, newThrottle), nil, nil},
	{"limit_throttle", "rebound+do", Ours, throughDo, gateDo(work, newThrottle), nil, nil},
}

func newAdaptive() gate.Gate { return &limit.Adaptive{Initial: maxPermits} }
func newThrottle() gate.Gate { return &limit.Throttle{} }

func adaptiveFloor() Op {
	var inside, sum atomic.Int64
	start := time.Now()
	return func(ctx context.Context, id int) (int, error) {
		if inside.Add(1) > maxPermits {
			inside.Add(-1)
			return 0, errLimited
		}
		begin := time.Since(start)
		v, err := work(ctx, id)
		sum.Store(int64(time.Since(start) - begin))
		inside.Add(-1)
		return v, err
	}
}

func adaptiveFailsafe() Op {
	l := adaptivelimiter.NewWithDefaults[int]()
	return func(ctx context.Context, id int) (int, error) {
		permit, ok := l.TryAcquirePermit()
		if !ok {
			return 0, errLimited
		}
		defer permit.Record()
		return work(ctx, id)
	}
}

func throttleFloor() Op {
	var accepted atomic.Int64
	start := time.Now()
	return func(ctx context.Context, id int) (int, error) {
		v, err := work(ctx, id)
		if time.Since(start) > 0 {
			accepted.Add(1)
		}
		return v, err
	}
}

func throttleFailsafe() Op {
	l := adaptivethrottler.NewWithDefaults[int]()
	return func(ctx context.Context, id int) (int, error) {
		if !l.TryAcquirePermit() {
			return 0, errLimited
		}
		v, err := work(ctx, id)
		if err != nil {
			l.RecordError(err)
		} else {
			l.RecordSuccess()
		}
		return v, err
	}
}
