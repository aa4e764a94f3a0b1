package bench

import (
	"context"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

const sonySteps = "Allow and done by hand: panics are not counted"

var sonyEntries = []Entry{
	{"breaker_closed", "sony", Peer, "", func() Op { return sonyExecute(newSony()) }, nil, nil},
	{"breaker_closed", "sony-2step", Peer, sonySteps, func() Op { return sonyAllow(sonyCount()) },
		nil, nil},
	{"breaker_open", "sony", Peer, "", func() Op {
		b := newSony()
		for range 6 {
			_, _ = b.Execute(fails)
		}
		return sonyExecute(b)
	}, nil, nil},
	{"breaker_window", "sony", Peer, "10 buckets, ReadyToTrip", func() Op {
		return sonyExecute(newSonyWindow())
	}, nil, nil},
	{"breaker_window", "sony-2step", Peer, sonySteps, func() Op {
		return sonyAllow(sonyWindow())
	}, nil, nil},
	{"breaker_keyed", "sony", Peer, "no registry: sync.Map", sonyKeyed, nil, nil},
	{"held_breaker", "sony", Peer, "", nil, nil, held(newSony, sonyTouch)},
	{"held_window", "sony", Peer, "", nil, nil, held(newSonyWindow, sonyTouch)},
	{"held_key", "sony", Peer, "no registry: sync.Map", nil, nil, heldInMap(newSony, sonyTouch)},
}

type sonyBreaker = *gobreaker.CircuitBreaker[int]

func sonyCount() gobreaker.Settings { return gobreaker.Settings{Name: "b", Timeout: time.Hour} }

func sonyWindow() gobreaker.Settings {
	s := sonyCount()
	s.Interval, s.BucketPeriod = 10*time.Second, time.Second
	s.ReadyToTrip = func(c gobreaker.Counts) bool {
		return c.Requests >= 100 && float64(c.TotalFailures) >= .5*float64(c.Requests)
	}
	return s
}

func newSony() sonyBreaker       { return gobreaker.NewCircuitBreaker[int](sonyCount()) }
func newSonyWindow() sonyBreaker { return gobreaker.NewCircuitBreaker[int](sonyWindow()) }

func sonyTouch(b sonyBreaker) { _, _ = b.Execute(func() (int, error) { return 0, nil }) }

func sonyExecute(b sonyBreaker) Op {
	return func(ctx context.Context, id int) (int, error) {
		return b.Execute(func() (int, error) { return work(ctx, id) })
	}
}

func sonyAllow(s gobreaker.Settings) Op {
	b := gobreaker.NewTwoStepCircuitBreaker[int](s)
	return func(ctx context.Context, id int) (int, error) {
		done, err := b.Allow()
		if err != nil {
			return 0, err
		}
		v, err := work(ctx, id)
		done(err)
		return v, err
	}
}

func sonyKeyed() Op {
	var m sync.Map
	for _, k := range keys {
		m.Store(k, newSony())
	}
	return func(ctx context.Context, id int) (int, error) {
		b, _ := m.Load(keys[id&1023])
		return b.(sonyBreaker).Execute(func() (int, error) { return work(ctx, id) })
	}
}

// sonyTimed is the inner part of the mixed stacks: a breaker around an attempt timeout.
func sonyTimed(ctx context.Context, b sonyBreaker, id int) (int, error) {
	return b.Execute(func() (int, error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return work(ctx, id)
	})
}
