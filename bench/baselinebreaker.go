package bench

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

var errOpen = errors.New("open")

// breakerFloors are the hand-written breakers.
var breakerFloors = []Entry{
	{"breaker_closed", "floor", Floor, "one atomic load, counts nothing", func() Op {
		return floorGuard(0)
	}, nil, nil},
	{"breaker_open", "floor", Floor, "one atomic load, no check of the cooldown", func() Op {
		return floorGuard(1)
	}, nil, nil},
	{"breaker_open", "floor+clock", Floor, "atomic load and clock", floorOpen, nil, nil},
	{"breaker_window", "floor", Floor, "atomic load, clock, atomic add", floorWindow, nil, nil},
	{"breaker_keyed", "floor", Floor, "sync.Map and atomic load", floorKeyed, nil, nil},
	{"stack", "floor", Floor, "loop, atomic load, context.WithTimeout", floorStack, nil, nil},
	{"held_breaker", "floor", Floor, "state and two counters", nil, nil,
		held(func() *[2]uint64 { return new([2]uint64) }, func(*[2]uint64) {})},
	{"held_window", "floor", Floor, "state and 10 × 2 uint32", nil, nil,
		held(func() *[12]uint64 { return new([12]uint64) }, func(*[12]uint64) {})},
	{"held_key", "floor", Floor, "sync.Map of 16 bytes", nil, nil,
		heldInMap(func() *[2]uint64 { return new([2]uint64) }, func(*[2]uint64) {})},
}

func floorGuard(initial uint32) Op {
	var state atomic.Uint32
	state.Store(initial)
	return func(ctx context.Context, id int) (int, error) {
		if state.Load() != 0 {
			return 0, errOpen
		}
		return work(ctx, id)
	}
}

func floorOpen() Op {
	var until atomic.Int64
	start := time.Now()
	until.Store(int64(time.Hour))
	return func(ctx context.Context, id int) (int, error) {
		if u := until.Load(); u != 0 && int64(time.Since(start)) < u {
			return 0, errOpen
		}
		return work(ctx, id)
	}
}

// ring is a minimal window: it reads the clock to find the bucket, and adds to it.
type ring struct {
	state   atomic.Uint32
	start   time.Time
	buckets [10]struct{ second, ok, failed atomic.Int64 }
}

func (r *ring) success() {
	now := int64(time.Since(r.start) / time.Second)
	b := &r.buckets[now%10]
	if b.second.Load() != now {
		b.second.Store(now)
		b.ok.Store(0)
		b.failed.Store(0)
	}
	b.ok.Add(1)
}

func floorWindow() Op {
	r := &ring{start: time.Now()}
	return func(ctx context.Context, id int) (int, error) {
		if r.state.Load() != 0 {
			return 0, errOpen
		}
		v, err := work(ctx, id)
		if err == nil {
			r.success()
		}
		return v, err
	}
}

func floorKeyed() Op {
	var m sync.Map
	for _, k := range keys {
		m.Store(k, new(atomic.Uint32))
	}
	return func(ctx context.Context, id int) (int, error) {
		v, _ := m.Load(keys[id&1023])
		if v.(*atomic.Uint32).Load() != 0 {
			return 0, errOpen
		}
		return work(ctx, id)
	}
}

func floorStack() Op {
	var state atomic.Uint32
	return func(ctx context.Context, id int) (int, error) {
		for n := 0; ; n++ {
			if state.Load() != 0 {
				return 0, errOpen
			}
			attempt, cancel := context.WithTimeout(ctx, callTimeout)
			v, err := work(attempt, id)
			cancel()
			if err == nil || n == 2 {
				return v, err
			}
			if err := sleep(ctx, jitter(n)); err != nil {
				return 0, err
			}
		}
	}
}
