package bench

import (
	"context"
	"net/http"
	"time"

	"github.com/cristalhq/hedgedhttp"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"

	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/reboundhttp"
)

// hedgeDelay is the delay of all hedges. Every call ends before it.
const hedgeDelay = time.Second

var hedgeEntries = []Entry{
	{"hedge_ok", "floor", Floor, "a context and a timer that is stopped", hedgeFloor, nil, nil},
	{"hedge_ok", "failsafe", Peer, "an error of one attempt ends all", func() Op {
		x := failsafe.With[int](hedgepolicy.NewWithDelay[int](hedgeDelay))
		return func(ctx context.Context, id int) (int, error) {
			return x.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[int]) (int, error) {
				return work(e.Context(), id)
			})
		}
	}, nil, nil},
	{"hedge_ok", "failsafe+quantile", Peer, "moving quantile", func() Op {
		x := failsafe.With[int](hedgepolicy.NewWithDelayQuantile[int](.95, 1000, 20))
		return func(ctx context.Context, id int) (int, error) {
			return x.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[int]) (int, error) {
				return work(e.Context(), id)
			})
		}
	}, nil, nil},
	{"hedge_ok", "rebound", Ours, "with its budget and share", func() Op {
		return reboundHedge(&hedge.Hedge{After: hedgeDelay})
	}, nil, nil},
	{"hedge_ok", "rebound+measured", Ours, "percentile of calls under 1 µs",
		func() Op { return reboundHedge(&hedge.Hedge{}) }, nil, nil},

	{"http_stub_hedged", "floor", Floor, "not hedged", nil, func(t http.RoundTripper) Doer {
		return (&http.Client{Transport: t}).Do
	}, nil},
	{"http_stub_hedged", "failsafe", Peer, "", nil, func(t http.RoundTripper) Doer {
		p := hedgepolicy.NewWithDelay[*http.Response](hedgeDelay)
		return (&http.Client{Transport: failsafehttp.NewRoundTripper(t, p)}).Do
	}, nil},
	{"http_stub_hedged", "hedgedhttp", Peer, "no budget; hedges every method", nil,
		func(t http.RoundTripper) Doer {
			hedged, err := hedgedhttp.NewRoundTripper(hedgeDelay, 2, t)
			if err != nil {
				panic(err)
			}
			return (&http.Client{Transport: hedged}).Do
		}, nil},
	{"http_stub_hedged", "rebound", Ours, "retries, too", nil, func(t http.RoundTripper) Doer {
		tr := &reboundhttp.Transport{Base: t, Hedge: &hedge.Hedge{After: hedgeDelay}}
		return (&http.Client{Transport: tr}).Do
	}, nil},
}

func hedgeFloor() Op {
	return func(ctx context.Context, id int) (int, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		timer := time.AfterFunc(hedgeDelay, func() { panic("late") })
		defer timer.Stop()
		return work(ctx, id)
	}
}

func reboundHedge(h *hedge.Hedge) Op {
	return func(ctx context.Context, id int) (int, error) {
		return hedge.Do(ctx, h, func(ctx context.Context) (int, error) { return work(ctx, id) }, nil)
	}
}
