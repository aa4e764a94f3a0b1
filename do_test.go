package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/gate"
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
			t.Errorf("the fallback was told %v", err)
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
		t.Errorf("a fallback that returns what it was told: got %v", err)
	}
}

func TestDoElseWhenTheCallerHasGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	v, err := rebound.DoElse(ctx, nil, func(context.Context) (int, error) {
		cancel()
		return 1, errFlaky
	}, func(context.Context, error) (int, error) {
		t.Error("the fallback ran for nobody")
		return 2, nil
	})
	if v != 1 || !errors.Is(err, rebound.Canceled) {
		t.Errorf("got %d, %v", v, err)
	}
}

// A call that succeeds at once allocates nothing, whatever stands around it.
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

// BenchmarkDo measures what a call costs around a function that does next to nothing.
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
