package bench

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"go.uber.org/ratelimit"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// The settings of all limits. They are never reached.
const (
	maxPermits = 100
	perSec     = 1e9
	burst      = 1 << 20

	inGate = "Enter and a deferred Leave"
)

const throughDo = "Do with Policy.Gates"

var errLimited = errors.New("limited")

// limitEntries are the limits around a call that takes no time, and around one of 1 µs.
var limitEntries = slices.Concat(limitsAround("", work), limitsAround("_1us", busy))

type call func(context.Context, int) (int, error)

func limitsAround(suffix string, fn call) []Entry {
	concurrency, perSecond := "limit_concurrency"+suffix, "limit_rate"+suffix
	return []Entry{
		{concurrency, "floor", Floor, "two atomic adds", permitFloor(fn), nil, nil},
		{concurrency, "channel", Floor, "a send and a receive", permitChannel(fn), nil, nil},
		{concurrency, "x/sync/semaphore", Peer, "", permitSemaphore(fn), nil, nil},
		{concurrency, "failsafe", Peer, "a panic keeps the permit", permitFailsafe(fn), nil, nil},
		{concurrency, "failsafe-permit", Peer, failsafePermits, permitFailsafeBare(fn), nil, nil},
		{concurrency, "rebound", Ours, inGate, gateOp(fn, func() gate.Gate {
			return &limit.Concurrency{Max: maxPermits}
		}), nil, nil},
		{concurrency, "rebound+do", Ours, throughDo, gateDo(fn, func() gate.Gate {
			return &limit.Concurrency{Max: maxPermits}
		}), nil, nil},

		{perSecond, "floor", Floor, "the clock and one swap", rateFloor(fn), nil, nil},
		{perSecond, "x/time/rate", Peer, "Allow: does not wait", rateXTime(fn), nil, nil},
		{perSecond, "uber", Peer, "no context, no rejection", rateUber(fn), nil, nil},
		{perSecond, "failsafe-smooth", Peer, failsafePermits, rateFailsafe(fn,
			ratelimiter.NewSmoothWithMaxRate[int](time.Nanosecond)), nil, nil},
		{perSecond, "failsafe-bursty", Peer, failsafePermits, rateFailsafe(fn,
			ratelimiter.NewBursty[int](perSec, time.Second)), nil, nil},
		{perSecond, "rebound", Ours, inGate, gateOp(fn, newRate), nil, nil},
		{perSecond, "rebound+do", Ours, throughDo, gateDo(fn, newRate), nil, nil},
	}
}

func newRate() gate.Gate { return &limit.Rate{N: perSec, Burst: burst} }

// busy is work that takes about a microsecond.
func busy(ctx context.Context, id int) (int, error) {
	if spin(perMicrosecond()) == 0 { // never true, but it uses the result
		return 0, nil
	}
	return work(ctx, id)
}

//go:noinline
func spin(n int) (x uint64) {
	x = 1
	for range n {
		x ^= x << 13
		x ^= x >> 7
	}
	return x
}

// perMicrosecond returns the iterations of spin in a microsecond. The fastest of 20 runs counts,
// because other programs may slow the rest.
var perMicrosecond = sync.OnceValue(func() int {
	const turns = 100_000
	least := time.Hour
	for range 20 {
		start := time.Now()
		_ = spin(turns) == 0
		least = min(least, time.Since(start))
	}
	return int(turns * time.Microsecond / least)
})

func permitFloor(fn call) func() Op {
	return func() Op {
		var n atomic.Int64
		return func(ctx context.Context, id int) (int, error) {
			if n.Add(1) > maxPermits {
				n.Add(-1)
				return 0, errLimited
			}
			defer n.Add(-1)
			return fn(ctx, id)
		}
	}
}

func permitChannel(fn call) func() Op {
	return func() Op {
		c := make(chan struct{}, maxPermits)
		return func(ctx context.Context, id int) (int, error) {
			select {
			case c <- struct{}{}:
			default:
				return 0, errLimited
			}
			defer func() { <-c }()
			return fn(ctx, id)
		}
	}
}

func permitSemaphore(fn call) func() Op {
	return func() Op {
		s := semaphore.NewWeighted(maxPermits)
		return func(ctx context.Context, id int) (int, error) {
			if err := s.Acquire(ctx, 1); err != nil {
				return 0, err
			}
			defer s.Release(1)
			return fn(ctx, id)
		}
	}
}

func permitFailsafe(fn call) func() Op {
	return func() Op {
		x := failsafe.With[int](bulkhead.New[int](maxPermits))
		return func(ctx context.Context, id int) (int, error) {
			return x.Get(func() (int, error) { return fn(ctx, id) })
		}
	}
}

func permitFailsafeBare(fn call) func() Op {
	return func() Op {
		b := bulkhead.New[int](maxPermits)
		return func(ctx context.Context, id int) (int, error) {
			if !b.TryAcquirePermit() {
				return 0, errLimited
			}
			defer b.ReleasePermit()
			return fn(ctx, id)
		}
	}
}

func rateFloor(fn call) func() Op {
	return func() Op {
		var next atomic.Int64
		start := time.Now()
		return func(ctx context.Context, id int) (int, error) {
			for {
				now, old := int64(time.Since(start)), next.Load()
				if old > now+burst {
					return 0, errLimited
				}
				if next.CompareAndSwap(old, max(old, now)+1) {
					return fn(ctx, id)
				}
			}
		}
	}
}

func rateXTime(fn call) func() Op {
	return func() Op {
		l := rate.NewLimiter(perSec, burst)
		return func(ctx context.Context, id int) (int, error) {
			if !l.Allow() {
				return 0, errLimited
			}
			return fn(ctx, id)
		}
	}
}

func rateUber(fn call) func() Op {
	return func() Op {
		l := ratelimit.New(perSec)
		return func(ctx context.Context, id int) (int, error) {
			l.Take()
			return fn(ctx, id)
		}
	}
}

func rateFailsafe(fn call, l ratelimiter.RateLimiter[int]) func() Op {
	return func() Op {
		return func(ctx context.Context, id int) (int, error) {
			if !l.TryAcquirePermit() {
				return 0, errLimited
			}
			return fn(ctx, id)
		}
	}
}

// gateOp calls fn inside a gate as package rebound does, with a deferred Leave.
func gateOp(fn call, fresh func() gate.Gate) func() Op {
	return func() Op {
		g := fresh()
		return func(ctx context.Context, id int) (v int, err error) {
			pass, err := g.Enter(ctx)
			if err != nil {
				return 0, err
			}
			defer func() { g.Leave(pass, gate.Outcome{Result: gate.OK}) }()
			return fn(ctx, id)
		}
	}
}

func gateDo(fn call, fresh func() gate.Gate) func() Op {
	return func() Op {
		p := &rebound.Policy{Backoff: exponential, Gates: []gate.Gate{fresh()}}
		return func(ctx context.Context, id int) (int, error) {
			return rebound.Do(ctx, p, func(ctx context.Context) (int, error) { return fn(ctx, id) })
		}
	}
}
