package bench

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// floors are the hand-written retries and budgets.
var floors = []Entry{
	{"harness", "harness", Floor, "", func() Op {
		return func(_ context.Context, id int) (int, error) { return id + 1, nil }
	}, nil, nil},
	{"retry_ok", "floor", Floor, "for loop, direct call", floorRetry, nil, nil},
	{"retry_2fail", "floor", Floor, "for loop, no timer for a zero delay", func() Op {
		return floorFlaky(sleep)
	}, nil, nil},
	{"retry_2fail", "floor+timer", Floor, "for loop, NewTimer(0) and select", func() Op {
		return floorFlaky(timerSleep)
	}, nil, nil},
	{"delay", "floor", Floor, "shift, cap, rand/v2", func() Op {
		return func(_ context.Context, id int) (int, error) { return int(jitter(id & 7)), nil }
	}, nil, nil},
	{"budget_ok", "floor", Floor, "bucket full: one atomic load", floorDeposit, nil, nil},
	{"budget_debt", "floor", Floor, "one atomic load, one add", floorDebt, nil, nil},
	{"budget_take", "floor", Floor, "one swap to take, one add to return", floorTake, nil, nil},
}

func jitter(n int) time.Duration {
	d := baseDelay << n
	if d <= 0 || d > maxDelay {
		d = maxDelay
	}
	return rand.N(d)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	return timerSleep(ctx, d)
}

func timerSleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func floorRetry() Op {
	return func(ctx context.Context, id int) (int, error) {
		for n := 0; ; n++ {
			v, err := work(ctx, id)
			if err == nil || n == 2 {
				return v, err
			}
			if err := sleep(ctx, jitter(n)); err != nil {
				return 0, err
			}
		}
	}
}

func floorFlaky(sleep func(context.Context, time.Duration) error) Op {
	return func(ctx context.Context, id int) (int, error) {
		calls := 0
		for n := 0; ; n++ {
			v, err := flaky(ctx, &calls, id)
			if err == nil || n == 2 {
				return v, err
			}
			if err := sleep(ctx, 0); err != nil {
				return 0, err
			}
		}
	}
}

func floorDeposit() Op {
	var tokens atomic.Int64
	tokens.Store(100)
	return func(context.Context, int) (int, error) {
		if tokens.Load() < 100 {
			tokens.Add(1)
		}
		return 0, nil
	}
}

func floorDebt() Op {
	var tokens atomic.Int64
	tokens.Store(-1 << 60)
	return func(context.Context, int) (int, error) {
		if tokens.Load() < 100 {
			tokens.Add(1)
		}
		return 0, nil
	}
}

func floorTake() Op {
	var tokens atomic.Int64
	tokens.Store(100)
	return func(context.Context, int) (int, error) {
		for {
			n := tokens.Load()
			if n < 5 {
				return 0, errOpen
			}
			if tokens.CompareAndSwap(n, n-5) {
				break
			}
		}
		tokens.Add(5)
		return 0, nil
	}
}
