package fault_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// given is an error that knows its own fault.
type given struct {
	f   fault.Fault
	err error
}

func (g given) Error() string              { return "given" }
func (g given) Unwrap() error              { return g.err }
func (g given) DescribeFault() fault.Fault { return g.f }

func TestMark(t *testing.T) {
	plain := errors.New("x")
	for _, tc := range []struct {
		name string
		err  error
		want fault.Fault
	}{
		{"unknown error", fault.Mark(plain, fault.Permanent, 0), fault.Fault{Kind: fault.Permanent}},
		{"the rest stays", fault.Mark(syscall.ECONNREFUSED, fault.Permanent, 0),
			fault.Fault{Kind: fault.Permanent, Sent: fault.NotSent, Detail: "connection refused"}},
		{"wait", fault.Mark(plain, fault.RateLimited, time.Second),
			fault.Fault{Kind: fault.RateLimited, After: time.Second}},
		{"negative wait", fault.Mark(plain, fault.RateLimited, -time.Second),
			fault.Fault{Kind: fault.RateLimited}},
		{"over a cancellation", fault.Mark(context.Canceled, fault.Transient, 0),
			fault.Fault{Kind: fault.Transient, Detail: "context canceled"}},
		{"wrapped", fmt.Errorf("a: %w", fmt.Errorf("b: %w", fault.Mark(plain, fault.None, 0))),
			fault.Fault{Kind: fault.None}},
		{"joined behind", errors.Join(syscall.ECONNRESET, fault.Mark(plain, fault.Permanent, 0)),
			fault.Fault{Kind: fault.Permanent}},
		{"the outermost of two", fault.Mark(fault.Mark(plain, fault.Permanent, time.Hour),
			fault.Transient, 0), fault.Fault{Kind: fault.Transient, After: time.Hour}},
		{"lifts finality", fault.Mark(given{f: fault.Fault{Final: true}}, fault.Transient, 0),
			fault.Fault{Kind: fault.Transient}},
		{"given fault outside", given{f: fault.Fault{Kind: fault.Overloaded, Final: true},
			err: fault.Mark(plain, fault.Permanent, 0)},
			fault.Fault{Kind: fault.Overloaded, Final: true}},
	} {
		tc.want.Err = tc.err
		if got := fault.Of(tc.err); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestMarkKeepsTheError(t *testing.T) {
	if err := fault.Mark(nil, fault.Permanent, 0); err != nil {
		t.Errorf("Mark(nil) = %v, want nil", err)
	}
	err := fault.Mark(fmt.Errorf("get user 7: %w", context.Canceled), fault.Permanent, 0)
	if want := "get user 7: context canceled"; err.Error() != want {
		t.Errorf("text of a marked error = %q, want %q", err, want)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("errors.Is does not find what was marked in %v", err)
	}
}

func TestMarked(t *testing.T) {
	mark := fault.Mark(errors.New("x"), fault.Permanent, 0)
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"nil", nil, false},
		{"plain", errors.New("x"), false},
		{"mark", mark, true},
		{"wrapped mark", fmt.Errorf("a: %w", mark), true},
		{"joined mark", errors.Join(errors.New("y"), mark), true},
		{"mark inside a given fault", given{err: mark}, false},
		{"given fault inside a mark", fault.Mark(given{}, fault.Permanent, 0), true},
	} {
		if got := fault.Marked(tc.err); got != tc.want {
			t.Errorf("%s: Marked = %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestSettle(t *testing.T) {
	opinion := fault.Fault{Kind: fault.Transient, Final: true, Detail: "my rule"}
	plain := errors.New("x")
	for _, tc := range []struct {
		name string
		err  error
		want fault.Fault
	}{
		{"no mark", plain, fault.Fault{Kind: fault.Transient, Final: true, Detail: "my rule"}},
		{"a mark outranks", fault.Mark(plain, fault.Permanent, time.Second),
			fault.Fault{Kind: fault.Permanent, After: time.Second, Detail: "my rule"}},
		{"given finality is kept", given{f: fault.Fault{Kind: fault.Permanent, Final: true}},
			fault.Fault{Kind: fault.Transient, Final: true, Detail: "my rule"}},
	} {
		tc.want.Err = tc.err
		if got := fault.Settle(opinion, tc.err); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
	final := fault.Settle(fault.Fault{Kind: fault.Transient}, given{f: fault.Fault{Final: true}})
	if !final.Final {
		t.Error("Settle lost that a layer below had retried to the end")
	}
	other := errors.New("other")
	if got := fault.Settle(fault.Fault{Err: other}, plain).Err; got != other {
		t.Errorf("Settle replaced the classifier's error by %v, want %v", got, other)
	}
}
