package bench

import (
	"context"
	"sync"
	"time"

	"github.com/eapache/go-resiliency/breaker"
	"github.com/eapache/go-resiliency/deadline"
	"github.com/eapache/go-resiliency/retrier"
)

var eapacheEntries = []Entry{
	{"retry_ok", "eapache", Peer, "untyped: the result through a captured variable", eapacheOK,
		nil, nil},
	{"retry_2fail", "eapache", Peer, "untyped; draws jitter under a mutex", eapacheFlaky, nil, nil},
	{"breaker_closed", "eapache", Peer, "counts errors only", func() Op {
		return eapacheRun(newEapache())
	}, nil, nil},
	{"breaker_open", "eapache", Peer, "a sleeping goroutine ends the open state", func() Op {
		b := newEapache()
		for range 5 {
			_ = b.Run(func() error { return errTransient })
		}
		return eapacheRun(b)
	}, nil, nil},
	{"breaker_keyed", "eapache", Peer, "no registry: sync.Map", eapacheKeyed, nil, nil},
	{"stack", "eapache", Peer, "its deadline: a goroutine per attempt, context not ended",
		eapacheStack, nil, nil},
	{"stack", "eapache+ctx", Peer, "with context.WithTimeout", eapacheCtxStack, nil, nil},
	{"held_breaker", "eapache", Peer, "", nil, nil, held(newEapache, eapacheTouch)},
	{"held_key", "eapache", Peer, "no registry: sync.Map", nil, nil,
		heldInMap(newEapache, eapacheTouch)},
}

func newEapache() *breaker.Breaker { return breaker.New(5, 1, time.Hour) }

func eapacheTouch(b *breaker.Breaker) { _ = b.Run(func() error { return nil }) }

func eapacheRetrier() *retrier.Retrier {
	r := retrier.New(retrier.LimitedExponentialBackoff(2, baseDelay, maxDelay), nil)
	r.SetJitter(.5)
	return r
}

func eapacheOK() Op {
	r := eapacheRetrier()
	return func(ctx context.Context, id int) (v int, err error) {
		err = r.RunCtx(ctx, func(ctx context.Context) (err error) {
			v, err = work(ctx, id)
			return err
		})
		return v, err
	}
}

func eapacheFlaky() Op {
	r := retrier.New(retrier.ConstantBackoff(2, 0), nil)
	return func(ctx context.Context, id int) (v int, err error) {
		n := 0
		err = r.RunCtx(ctx, func(ctx context.Context) (err error) {
			v, err = flaky(ctx, &n, id)
			return err
		})
		return v, err
	}
}

func eapacheRun(b *breaker.Breaker) Op {
	return func(ctx context.Context, id int) (v int, err error) {
		err = b.Run(func() (err error) {
			v, err = work(ctx, id)
			return err
		})
		return v, err
	}
}

func eapacheKeyed() Op {
	var m sync.Map
	for _, k := range keys {
		m.Store(k, newEapache())
	}
	return func(ctx context.Context, id int) (v int, err error) {
		b, _ := m.Load(keys[id&1023])
		err = b.(*breaker.Breaker).Run(func() (err error) {
			v, err = work(ctx, id)
			return err
		})
		return v, err
	}
}

func eapacheStack() Op {
	r, b, d := eapacheRetrier(), newEapache(), deadline.New(callTimeout)
	return func(ctx context.Context, id int) (v int, err error) {
		err = r.RunCtx(ctx, func(ctx context.Context) error {
			return b.Run(func() error {
				return d.Run(func(<-chan struct{}) (err error) {
					v, err = work(ctx, id)
					return err
				})
			})
		})
		return v, err
	}
}

func eapacheCtxStack() Op {
	r, b := eapacheRetrier(), newEapache()
	return func(ctx context.Context, id int) (v int, err error) {
		err = r.RunCtx(ctx, func(ctx context.Context) error {
			return b.Run(func() (err error) {
				ctx, cancel := context.WithTimeout(ctx, callTimeout)
				defer cancel()
				v, err = work(ctx, id)
				return err
			})
		})
		return v, err
	}
}
