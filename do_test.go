package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/mark"
	"github.com/rebound-go/rebound/reboundtest"
)

func TestDoReturnsTheLastValue(t *testing.T) {
	n := 0
	count := func(until int) func(context.Context) (int, error) {
		return func(context.Context) (int, error) {
			if n++; n < until {
				return n, errFlaky
			}
			return n, nil
		}
	}
	if v, err := rebound.Do(t.Context(), &rebound.Policy{Backoff: atOnce}, count(2)); v != 2 ||
		err != nil {
		t.Errorf("got %d, %v, want 2", v, err)
	}
	n = 0
	if v, err := rebound.Do(t.Context(), &rebound.Policy{Backoff: atOnce}, count(99)); v != 3 ||
		err == nil {
		t.Errorf("got %d, %v, want the last value, 3, beside an error", v, err)
	}
}

func TestDoChecked(t *testing.T) {
	busy, n := errors.New("status 503"), 0
	status := func(codes ...int) func(context.Context) (int, error) {
		return func(context.Context) (int, error) {
			n++
			return codes[min(n, len(codes))-1], nil
		}
	}
	check := func(code int) error {
		if code >= 500 {
			return busy
		}
		return nil
	}
	p := &rebound.Policy{Backoff: atOnce}
	v, err := rebound.DoChecked(t.Context(), p, status(503, 503, 200), check)
	if v != 200 || err != nil || n != 3 {
		t.Errorf("got %d, %v after %d calls", v, err, n)
	}
	n = 0
	v, err = rebound.DoChecked(t.Context(), p, status(500), check)
	if v != 500 || !errors.Is(err, busy) || n != 3 {
		t.Errorf("got %d, %v after %d calls", v, err, n)
	}
	n = 0
	_, err = rebound.DoChecked(t.Context(), p,
		func(context.Context) (int, error) { return 0, errFlaky },
		func(int) error { n++; return nil })
	if n != 0 || !errors.Is(err, errFlaky) {
		t.Errorf("check ran %d times on failures; got %v", n, err)
	}
}

func TestDoElse(t *testing.T) {
	p := &rebound.Policy{Backoff: atOnce}
	fail := func(context.Context) (string, error) { return "half", errFlaky }
	v, err := rebound.DoElse(t.Context(), p, fail, func(_ context.Context, err error) (
		string, error,
	) {
		if !errors.Is(err, rebound.Exhausted) || !errors.Is(err, errFlaky) {
			t.Errorf("the fallback got %v", err)
		}
		return "local", nil
	})
	if v != "local" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	second := errors.New("no cache either")
	v, err = rebound.DoElse(t.Context(), p, fail, func(context.Context, error) (string, error) {
		return "stale", second
	})
	if v != "stale" || !errors.Is(err, errFlaky) || !errors.Is(err, second) ||
		!errors.Is(err, rebound.Exhausted) {
		t.Errorf("both failed: got %q, %v", v, err)
	}
	permanent := func(context.Context) (int, error) { return 0, rebound.Permanent(errFlaky) }
	n, err := rebound.DoElse(t.Context(), nil, permanent,
		func(context.Context, error) (int, error) { return 7, nil })
	if n != 7 || err != nil {
		t.Errorf("a nil policy: got %d, %v, want the fallback's 7", n, err)
	}
	calls := 0
	_, err = rebound.Do(t.Context(), p, func(ctx context.Context) (string, error) {
		calls++
		return rebound.DoElse(ctx, &rebound.Policy{Attempts: 1}, fail,
			func(context.Context, error) (string, error) { return "", rebound.Permanent(second) })
	})
	if calls != 1 || !errors.Is(err, rebound.NotRetryable) {
		t.Errorf("a fallback's mark: got %d calls and %v", calls, err)
	}
	_, err = rebound.DoElse(t.Context(), p, fail, func(_ context.Context, err error) (
		string, error,
	) {
		return "", fmt.Errorf("page: %w", err)
	})
	if err == nil || !errors.Is(err, errFlaky) || err.Error()[:5] != "page:" {
		t.Errorf("a fallback that returns its argument: got %v", err)
	}
}

func TestDoElseWhenTheCallerHasGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	v, err := rebound.DoElse(ctx, nil, func(context.Context) (int, error) {
		cancel()
		return 1, errFlaky
	}, func(context.Context, error) (int, error) {
		t.Error("the fallback ran without a caller")
		return 2, nil
	})
	if v != 1 || !errors.Is(err, rebound.Canceled) {
		t.Errorf("got %d, %v", v, err)
	}
}

// A call that succeeds at once allocates nothing, whatever gates and breaker it has.
func TestSuccessAllocatesNothing(t *testing.T) {
	ctx := context.Background()
	events := 0
	observe := func(context.Context, rebound.Event) { events++ }
	places := &bulkhead{}
	id := 0
	work := func(context.Context) (int, error) { id++; return id, nil }
	for name, p := range map[string]*rebound.Policy{
		"nil": nil, "zero": {}, "breaker": {Breaker: &breaker.Breaker{}},
		"breaker, budget, observer": {Breaker: &breaker.Breaker{}, Budget: &budget.Budget{},
			Observe: observe},
		"five gates": {Gates: []gate.Gate{places, places, places, places, places}},
	} {
		for form, call := range map[string]func(){
			"Do":  func() { _, _ = rebound.Do(ctx, p, work) },
			"Run": func() { _ = rebound.Run(ctx, p, func(context.Context) error { id++; return nil }) },
			"DoChecked": func() {
				_, _ = rebound.DoChecked(ctx, p, work, func(int) error { return nil })
			},
			"DoElse": func() {
				_, _ = rebound.DoElse(ctx, p, work,
					func(context.Context, error) (int, error) { return id, nil })
			},
			"Attempts": func() {
				var err error
				for range rebound.Attempts(ctx, p, &err) {
					id++
					err = nil
				}
			},
		} {
			if got := testing.AllocsPerRun(100, call); got != 0 {
				t.Errorf("%s, %s: %v allocations, want 0", form, name, got)
			}
		}
	}
}

func TestAttempts(t *testing.T) {
	p := &rebound.Policy{Backoff: atOnce}
	var err error
	var numbers []int
	for ctx, n := range rebound.Attempts(t.Context(), p, &err) {
		if ctx == nil {
			t.Fatal("no context")
		}
		numbers = append(numbers, n)
		err = nil
		if n < 3 {
			err = errFlaky
		}
	}
	if err != nil || len(numbers) != 3 || numbers[0] != 1 || numbers[2] != 3 {
		t.Errorf("got attempts %v and %v, want 1 to 3 and none", numbers, err)
	}
	for range rebound.Attempts(t.Context(), p, &err) {
		err = errFlaky
	}
	if e := mustError(t, err); e.Attempts != 3 || e.Reason != rebound.Exhausted {
		t.Errorf("got %+v", e)
	}
}

func TestAttemptsUnset(t *testing.T) {
	var err error
	turns := 0
	for range rebound.Attempts(t.Context(), nil, &err) {
		turns++
		_, err := shadowed()
		_ = err
	}
	if turns != 1 || !errors.Is(err, rebound.ErrUnset) || !errors.Is(err, rebound.Invalid) {
		t.Errorf("got %d turns and %v", turns, err)
	}
	for range rebound.Attempts(t.Context(), nil, nil) {
		turns++
	}
	if turns != 2 {
		t.Errorf("a nil pointer gave %d turns, want 1", turns-1)
	}
}

func shadowed() (int, error) { return 0, errFlaky }

func TestAttemptsBreak(t *testing.T) {
	for _, row := range []struct {
		name string
		set  bool
		err  error
	}{
		{"unset", false, nil}, {"nil", true, nil}, {"an error", true, errFlaky},
	} {
		b := &breaker.Breaker{Failures: 1}
		p := &rebound.Policy{Backoff: atOnce, Breaker: b}
		err := errors.New("from before")
		turns := 0
		for range rebound.Attempts(t.Context(), p, &err) {
			turns++
			if row.set {
				err = row.err
			}
			break
		}
		if turns != 1 || err != row.err {
			t.Errorf("%s: got %d turns and %v, want %v", row.name, turns, err, row.err)
		}
		if open := b.State() == breaker.Open; open != (row.err != nil) {
			t.Errorf("%s: breaker open = %v", row.name, open)
		}
	}
}

func TestAttemptsReturn(t *testing.T) {
	find := func() (n int, err error) {
		for _, n := range rebound.Attempts(t.Context(), nil, &err) {
			return n, nil
		}
		return 0, err
	}
	if n, err := find(); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestAttemptsPanic(t *testing.T) {
	b := &breaker.Breaker{Failures: 1}
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v", r)
			}
		}()
		var err error
		for range rebound.Attempts(t.Context(), &rebound.Policy{Breaker: b}, &err) {
			panic("boom")
		}
	}()
	func() {
		err := errFlaky
		defer func() {
			if _ = recover(); err != errFlaky {
				t.Errorf("the panic left %v in the error", err)
			}
		}()
		for range rebound.Attempts(t.Context(), nil, &err) {
			panic("boom")
		}
	}()
	if b.State() != breaker.Open {
		t.Errorf("breaker is %v, want it open", b.State())
	}
}

func TestAttemptsDeadContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var err error
	for range rebound.Attempts(ctx, nil, &err) {
		t.Error("the body ran")
	}
	if !errors.Is(err, rebound.Canceled) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkDo measures the cost of a call around a function that does almost nothing.
func BenchmarkDo(b *testing.B) {
	ctx := context.Background()
	id := 0
	work := func(context.Context) (int, error) { id++; return id, nil }
	for name, p := range map[string]*rebound.Policy{
		"nil": nil, "policy": {Attempts: 5}, "breaker": {Breaker: &breaker.Breaker{}},
		"timeout": {AttemptTimeout: time.Minute},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = rebound.Do(ctx, p, work)
			}
		})
	}
	b.Run("two failures", func(b *testing.B) {
		b.ReportAllocs()
		p := &rebound.Policy{Backoff: atOnce, Budget: budget.Unlimited}
		for b.Loop() {
			n := 0
			_, _ = rebound.Do(ctx, p, func(context.Context) (int, error) {
				if n++; n < 3 {
					return n, errFlaky
				}
				return n, nil
			})
		}
	})
}

// entry is one way into the engine. It makes a call and returns how it ended.
type entry func(ctx context.Context, p *rebound.Policy, fn func(context.Context) (int, error)) (
	int, error)

// entries are all ways into the engine. The quick paths of Do need a plain policy. With a gate that
// admits everything, or with a Loop, the same call takes the full path.
var entries = map[string]entry{
	"Do": rebound.Do[int],
	"Do, the full way": func(ctx context.Context, p *rebound.Policy,
		fn func(context.Context) (int, error)) (int, error) {
		return rebound.Do(ctx, p, fn)
	},
	"Run": func(ctx context.Context, p *rebound.Policy,
		fn func(context.Context) (int, error)) (v int, err error) {
		err = rebound.Run(ctx, p, func(ctx context.Context) (err error) {
			v, err = fn(ctx)
			return err
		})
		return v, err
	},
	"DoChecked": func(ctx context.Context, p *rebound.Policy,
		fn func(context.Context) (int, error)) (int, error) {
		var failed error
		return rebound.DoChecked(ctx, p, func(ctx context.Context) (v int, err error) {
			v, failed = fn(ctx)
			return v, nil
		}, func(int) error { return failed })
	},
	"DoElse": func(ctx context.Context, p *rebound.Policy,
		fn func(context.Context) (int, error)) (int, error) {
		last := 0
		return rebound.DoElse(ctx, p, func(ctx context.Context) (v int, err error) {
			last, err = fn(ctx)
			return last, err
		}, func(_ context.Context, err error) (int, error) { return last, err })
	},
	"Attempts": func(ctx context.Context, p *rebound.Policy,
		fn func(context.Context) (int, error)) (v int, err error) {
		for ctx := range rebound.Attempts(ctx, p, &err) {
			v, err = fn(ctx)
		}
		return v, err
	},
	"Loop": func(ctx context.Context, p *rebound.Policy,
		fn func(context.Context) (int, error)) (last int, err error) {
		l := rebound.Begin(ctx, p)
		for {
			_, err := rebound.Try(&l, func(ctx context.Context) (_ int, err error) {
				last, err = fn(ctx)
				return last, err
			})
			if err == nil {
				l.Succeed()
				return last, nil
			}
			d := l.Decide(err)
			if !d.Retry {
				return last, l.Stop(d.Reason, nil)
			}
			if err := l.Retry(d.Delay); err != nil {
				return last, err
			}
		}
	},
	"reboundtest": func(_ context.Context, p *rebound.Policy,
		fn func(context.Context) (int, error)) (int, error) {
		trace, err := reboundtest.Do(p, fn)
		return trace.Value, err
	},
}

// open is a gate that admits everything.
type open struct{}

func (open) Enter(context.Context) (gate.Pass, error) { return gate.Pass{}, nil }
func (open) Leave(gate.Pass, gate.Outcome)            {}

// steps are what an attempt may do.
var steps = []func(cancel func()) error{
	func(func()) error { return nil },
	func(func()) error { return errFlaky },
	func(func()) error { return rebound.Transient(errFlaky) },
	func(func()) error { return rebound.Permanent(errFlaky) },
	func(func()) error { return rebound.RetryAfter(errFlaky, 0) },
	func(func()) error { return mark.New(errFlaky, fault.Overloaded, 0) },
	func(func()) error { return mark.New(errFlaky, fault.None, 0) },
	func(func()) error { return context.Canceled },
	func(func()) error { panic("in fn") },
	func(cancel func()) error { cancel(); return errFlaky },
	func(cancel func()) error { cancel(); return nil },
}

// drawn is a policy made from random numbers. The same numbers make the same policy.
func drawn(r *rand.Rand) *rebound.Policy {
	p := &rebound.Policy{
		Name: "drawn", Attempts: r.IntN(6) - 1, Backoff: backoff.Constant(0),
		Throttled: backoff.Constant(0), NonIdempotent: r.IntN(8) == 0,
	}
	if p.Attempts == rebound.Unlimited {
		p.Budget = &budget.Budget{Capacity: 2}
	}
	if r.IntN(2) == 0 {
		p.Breaker = &breaker.Breaker{Failures: 1 + r.IntN(6)}
	}
	if r.IntN(4) == 0 {
		p.RetryIf = func(f fault.Fault) bool { return f.Kind == fault.Transient }
	}
	if r.IntN(4) == 0 {
		p.Classify = func(err error) fault.Fault {
			f := fault.Of(err)
			if f.Kind == fault.Unknown {
				f.Kind = fault.Overloaded
			}
			return f
		}
	}
	if r.IntN(16) == 0 {
		p.MaxRetryAfter = -1
	}
	return p
}

// watched is p with a listener that records events, except those of fallbacks, which only DoElse
// has.
func watched(p *rebound.Policy, log *[]string) {
	p.Observe = func(_ context.Context, e rebound.Event) {
		if e.Kind == rebound.FellBack {
			return
		}
		*log = append(*log, fmt.Sprint(e.Kind, e.Attempt, e.Fault.Kind, e.Reason, e.Announced))
	}
}

// story makes several calls by one policy through one entry, and returns everything observable.
func story(name string, seed uint64, events bool) string {
	r := rand.New(rand.NewPCG(seed, 1))
	p := drawn(r)
	if name == "Do, the full way" {
		p.Gates = []gate.Gate{open{}}
	}
	var log []string
	if events {
		watched(p, &log)
	}
	for range 1 + r.IntN(6) {
		ctx, cancel := context.WithCancel(context.Background())
		script := make([]int, 1+r.IntN(7))
		for i := range script {
			script[i] = r.IntN(len(steps))
		}
		calls := 0
		fn := func(context.Context) (int, error) {
			if calls++; calls > len(script) {
				return calls, nil
			}
			step := steps[script[calls-1]]
			return calls, step(func() {
				log = append(log, "the caller went away")
				cancel()
			})
		}
		func() {
			defer func() {
				if v := recover(); v != nil {
					log = append(log, fmt.Sprint("panic: ", v))
				}
			}()
			v, err := entries[name](ctx, p, fn)
			log = append(log, fmt.Sprint(v, err, errors.Is(err, errFlaky), fault.Of(err).Final))
		}()
		cancel()
		log = append(log, fmt.Sprint("calls ", calls))
		if b := p.RetryBudget(); b != nil {
			log = append(log, fmt.Sprintf("budget %.3f", b.Level()))
		}
		if p.Breaker != nil {
			s := p.Breaker.Snapshot()
			log = append(log, fmt.Sprint("breaker ", s.State, s.Failures, s.Opened))
		}
	}
	return strings.Join(log, "\n")
}

// Every entry behaves the same, the quick paths of Do included.
func TestEntriesAgree(t *testing.T) {
	for seed := range uint64(3000) {
		for _, events := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				want := story("Loop", seed, events)
				for name := range entries {
					// reboundtest makes its own context, which is not canceled.
					if name == "reboundtest" && strings.Contains(want, "went away") {
						continue
					}
					if got := story(name, seed, events); got != want {
						t.Fatalf("seed %d: %s gives\n%s\nand Loop\n%s", seed, name, got, want)
					}
				}
			})
		}
	}
}

// A Loop stays on its caller's stack.
func TestLoopAllocatesNothing(t *testing.T) {
	p := &rebound.Policy{Backoff: backoff.Constant(0), Budget: budget.Unlimited,
		Breaker: &breaker.Breaker{Failures: 100}, Gates: []gate.Gate{open{}}}
	fn := func(context.Context) (int, error) { return 1, nil }
	n := 0
	twice := func(context.Context) (int, error) {
		if n++; n%3 != 0 {
			return 0, errFlaky
		}
		return 1, nil
	}
	for name, allocs := range map[string]float64{
		"success": testing.AllocsPerRun(100, func() { _, _ = entries["Loop"](t.Context(), p, fn) }),
		"two failures": testing.AllocsPerRun(100, func() {
			_, _ = entries["Loop"](t.Context(), p, twice)
		}),
		"quick": testing.AllocsPerRun(100, func() { _, _ = rebound.Do(t.Context(), p, twice) }),
	} {
		if allocs > 1 { // the closure of the entry itself
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
