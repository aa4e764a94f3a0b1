package rebound_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
)

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
