package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/reboundhttp"
)

const (
	bare  = "Enter and Leave, no defer"
	whole = "Do with Policy.Breaker"
)

var reboundEntries = []Entry{
	{"retry_ok", "rebound", Ours, "with its budget", func() Op {
		return reboundDo(&rebound.Policy{Backoff: exponential})
	}, nil, nil},
	{"retry_ok", "rebound+elapsed", Ours, "MaxElapsed: a context with a deadline", func() Op {
		return reboundDo(&rebound.Policy{Backoff: exponential, MaxElapsed: callTimeout})
	}, nil, nil},
	{"retry_2fail", "rebound", Ours, "classified; budget.Unlimited", reboundFlaky, nil, nil},
	{"delay", "rebound", Ours, "full jitter", reboundDelay, nil, nil},
	{"breaker_closed", "rebound", Ours, bare, func() Op { return reboundGate(counting5()) },
		nil, nil},
	{"breaker_closed", "rebound+do", Ours, whole, func() Op { return reboundGuarded(counting5()) },
		nil, nil},
	{"breaker_open", "rebound", Ours, bare, func() Op { return reboundGate(open()) }, nil, nil},
	{"breaker_open", "rebound+do", Ours, "with the error of Do", func() Op {
		return reboundGuarded(open())
	}, nil, nil},
	{"breaker_window", "rebound", Ours, bare, func() Op { return reboundGate(windowed()) },
		nil, nil},
	{"breaker_window", "rebound+do", Ours, whole, func() Op { return reboundGuarded(windowed()) },
		nil, nil},
	{"breaker_keyed", "rebound", Ours, "Group", func() Op {
		g := &breaker.Group[string]{Template: *counting5()}
		return func(ctx context.Context, id int) (int, error) {
			return gated(ctx, g.For(keys[id&1023]), id)
		}
	}, nil, nil},
	{"breaker_keyed", "rebound+failure", Ours, "Group with one key that has failed", func() Op {
		g := &breaker.Group[string]{Template: *counting5()}
		refuseOne(g.For("down"))
		return func(ctx context.Context, id int) (int, error) {
			return gated(ctx, g.For(keys[id&1023]), id)
		}
	}, nil, nil},
	{"stack", "rebound", Ours, "with its budget", func() Op {
		return reboundDo(&rebound.Policy{
			Backoff: exponential, Breaker: counting5(), AttemptTimeout: callTimeout,
		})
	}, nil, nil},
	{"budget_ok", "rebound", Ours, "bucket full", func() Op {
		b := new(budget.Budget)
		return func(context.Context, int) (int, error) { b.Success(); return 0, nil }
	}, nil, nil},
	{"budget_debt", "rebound", Ours, "one compare-and-swap", reboundDebt, nil, nil},
	{"budget_take", "rebound", Ours, "refills with time: reads the clock", reboundTake, nil, nil},
	{"http_stub_ok", "rebound", Ours, "", nil, reboundClient, nil},
	{"http_stub_503", "rebound", Ours, "", nil, reboundClient, nil},
	{"http_loop_ok", "rebound", Ours, "", nil, reboundClient, nil},
	{"http_loop_503", "rebound", Ours, "", nil, reboundClient, nil},
	{"held_breaker", "rebound", Ours, "", nil, nil, held(counting5, reboundTouch)},
	{"held_window", "rebound", Ours, "", nil, nil, held(windowed, reboundTouch)},
	{"held_key", "rebound", Ours, "Group: keeps no key without failures", nil, nil,
		heldByKey(func() *breaker.Group[string] { return new(breaker.Group[string]) },
			func(g *breaker.Group[string], key string) {
				_, _ = gated(context.Background(), g.For(key), 0)
			})},
	{"held_key", "rebound+failure", Ours, "Group: each key has failed once", nil, nil,
		heldByKey(func() *breaker.Group[string] { return new(breaker.Group[string]) },
			func(g *breaker.Group[string], key string) { refuseOne(g.For(key)) })},
}

var exponential = backoff.Exponential{Base: baseDelay, Max: maxDelay, Factor: 2}

func counting5() *breaker.Breaker { return &breaker.Breaker{Failures: 5, Cooldown: time.Hour} }

func windowed() *breaker.Breaker {
	return &breaker.Breaker{Rate: .5, MinCalls: 100, Window: 10 * time.Second, Cooldown: time.Hour}
}

func open() *breaker.Breaker {
	b := counting5()
	for range 5 {
		refuseOne(b)
	}
	return b
}

// refuseOne records a call that fails.
func refuseOne(g gate.Gate) {
	if pass, err := g.Enter(context.Background()); err == nil {
		f := fault.Fault{Kind: fault.Transient, Err: errTransient}
		g.Leave(pass, gate.Outcome{Fault: f})
	}
}

func reboundTouch(b *breaker.Breaker) { _, _ = gated(context.Background(), b, 0) }

// gated calls work through a gate by hand.
func gated[G gate.Gate](ctx context.Context, g G, id int) (int, error) {
	pass, err := g.Enter(ctx)
	if err != nil {
		return 0, err
	}
	v, err := work(ctx, id)
	if err != nil {
		g.Leave(pass, gate.Outcome{Fault: fault.Of(err)})
		return v, err
	}
	g.Leave(pass, gate.Outcome{Result: gate.OK})
	return v, nil
}

func reboundGate(b *breaker.Breaker) Op {
	return func(ctx context.Context, id int) (int, error) { return gated(ctx, b, id) }
}

func reboundGuarded(b *breaker.Breaker) Op {
	return reboundDo(&rebound.Policy{Backoff: exponential, Breaker: b})
}

func reboundDo(p *rebound.Policy) Op {
	return func(ctx context.Context, id int) (int, error) {
		return rebound.Do(ctx, p, func(ctx context.Context) (int, error) { return work(ctx, id) })
	}
}

func reboundFlaky() Op {
	p := &rebound.Policy{Backoff: backoff.Constant(0), Budget: budget.Unlimited}
	return func(ctx context.Context, id int) (int, error) {
		n := 0
		return rebound.Do(ctx, p, func(ctx context.Context) (int, error) {
			return flaky(ctx, &n, id)
		})
	}
}

func reboundDelay() Op {
	return func(_ context.Context, id int) (int, error) {
		return int(exponential.Delay(id&7+1, 0, rand.Float64())), nil
	}
}

// reboundDebt has a budget that is nearly empty, and whose deposits are too small to fill it.
func reboundDebt() Op {
	b := &budget.Budget{Capacity: 68_000, Deposit: 1e-5, Refill: budget.None}
	for range 60_000 {
		if err := b.Take(); err != nil {
			panic(err)
		}
	}
	return func(context.Context, int) (int, error) { b.Success(); return 0, nil }
}

func reboundTake() Op {
	b := new(budget.Budget)
	return func(context.Context, int) (int, error) {
		if b.Take() != nil {
			return 0, errors.New("out of budget")
		}
		b.Return()
		return 0, nil
	}
}

func reboundClient(t http.RoundTripper) Doer {
	p := &rebound.Policy{Backoff: backoff.Constant(0), Budget: budget.Unlimited}
	return (&http.Client{Transport: &reboundhttp.Transport{Base: t, Policy: p}}).Do
}
