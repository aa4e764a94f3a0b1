package reboundtest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/rebound-go/rebound/reboundtest"
)

func TestScript(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	for _, test := range []struct{ script, want []error }{
		{nil, []error{nil, nil, nil}},
		{[]error{a}, []error{a, a, a}},
		{[]error{a, nil}, []error{a, nil, nil}},
		{[]error{a, b, nil, a}, []error{a, b, nil, a, a}},
	} {
		s := reboundtest.Script(test.script...)
		var got []error
		for range test.want {
			got = append(got, s.Run(context.Background()))
		}
		if !slices.Equal(got, test.want) || s.Calls() != len(test.want) {
			t.Errorf("script %v: %v in %d calls, want %v", test.script, got, s.Calls(), test.want)
		}
	}
	var zero reboundtest.Scripted
	if err := zero.Run(context.Background()); err != nil || zero.Calls() != 1 {
		t.Errorf("zero Script: %v after %d calls, want nil after 1", err, zero.Calls())
	}
}

func TestThen(t *testing.T) {
	fn := reboundtest.Then(reboundtest.Script(errFlaky, nil), "yes")
	for _, want := range []string{"", "yes", "yes"} {
		if got, err := fn(context.Background()); got != want || (err == nil) != (want != "") {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

// TestScriptIsShared: goroutines share a script, and each line except the last is played once.
func TestScriptIsShared(t *testing.T) {
	const calls = 100
	lines := make([]error, calls)
	lines[0] = errFlaky
	s := reboundtest.Script(lines...)
	var mu sync.Mutex
	var wg sync.WaitGroup
	failures := 0
	for range calls {
		wg.Go(func() {
			if s.Run(context.Background()) != nil {
				mu.Lock()
				defer mu.Unlock()
				failures++
			}
		})
	}
	wg.Wait()
	if failures != 1 || s.Calls() != calls {
		t.Errorf("%d failures in %d calls, want 1 in %d", failures, s.Calls(), calls)
	}
}
