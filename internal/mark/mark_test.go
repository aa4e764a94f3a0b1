package mark_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
)

// given is an error with its own fault.
type given struct {
	f   fault.Fault
	err error
}

func (g given) Error() string              { return "given" }
func (g given) Unwrap() error              { return g.err }
func (g given) DescribeFault() fault.Fault { return g.f }

func TestNew(t *testing.T) {
	plain := errors.New("x")
	for _, tc := range []struct {
		name string
		err  error
		want fault.Fault
	}{
		{"unknown error", mark.New(plain, fault.Permanent, 0), fault.Fault{Kind: fault.Permanent}},
		{"the rest stays", mark.New(syscall.ECONNREFUSED, fault.Permanent, 0),
			fault.Fault{Kind: fault.Permanent, Sent: fault.NotSent, Detail: "connection refused"}},
		{"wait", mark.New(plain, fault.RateLimited, time.Second),
			fault.Fault{Kind: fault.RateLimited, After: time.Second}},
		{"negative wait", mark.New(plain, fault.RateLimited, -time.Second),
			fault.Fault{Kind: fault.RateLimited}},
		{"over a cancellation", mark.New(context.Canceled, fault.Transient, 0),
			fault.Fault{Kind: fault.Transient, Detail: "context canceled"}},
		{"wrapped", fmt.Errorf("a: %w", fmt.Errorf("b: %w", mark.New(plain, fault.None, 0))),
			fault.Fault{Kind: fault.None}},
		{"joined behind", errors.Join(syscall.ECONNRESET, mark.New(plain, fault.Permanent, 0)),
			fault.Fault{Kind: fault.Permanent}},
		{"beside a given fault", errors.Join(given{f: fault.Fault{Kind: fault.Transient, Final: true}},
			fmt.Errorf("x: %w", mark.New(plain, fault.Permanent, 0))),
			fault.Fault{Kind: fault.Permanent}},
		{"beside an answer", errors.Join(given{f: fault.Fault{Kind: fault.None}},
			mark.New(plain, fault.Permanent, 0)), fault.Fault{Kind: fault.Permanent}},
		{"the first of two beside each other", errors.Join(mark.New(plain, fault.Permanent, 0),
			mark.New(plain, fault.Transient, 0)), fault.Fault{Kind: fault.Permanent}},
		{"the outermost of two", mark.New(mark.New(plain, fault.Permanent, time.Hour),
			fault.Transient, 0), fault.Fault{Kind: fault.Transient, After: time.Hour}},
		{"lifts finality", mark.New(given{f: fault.Fault{Final: true}}, fault.Transient, 0),
			fault.Fault{Kind: fault.Transient}},
		{"given fault outside", given{f: fault.Fault{Kind: fault.Overloaded, Final: true},
			err: mark.New(plain, fault.Permanent, 0)},
			fault.Fault{Kind: fault.Overloaded, Final: true}},
	} {
		tc.want.Err = tc.err
		if got := fault.Of(tc.err); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestMarkKeepsTheError(t *testing.T) {
	if err := mark.New(nil, fault.Permanent, 0); err != nil {
		t.Errorf("Mark(nil) = %v, want nil", err)
	}
	err := mark.New(fmt.Errorf("get user 7: %w", context.Canceled), fault.Permanent, 0)
	if want := "get user 7: context canceled"; err.Error() != want {
		t.Errorf("text of a marked error = %q, want %q", err, want)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("errors.Is does not find what was marked in %v", err)
	}
}

func TestOn(t *testing.T) {
	marked := mark.New(errors.New("x"), fault.Permanent, 0)
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"nil", nil, false},
		{"plain", errors.New("x"), false},
		{"mark", marked, true},
		{"wrapped mark", fmt.Errorf("a: %w", marked), true},
		{"joined mark", errors.Join(errors.New("y"), marked), true},
		{"mark beside a given fault", errors.Join(given{}, marked), true},
		{"mark inside a given fault", given{err: marked}, false},
		{"mark inside one of two given faults", errors.Join(given{err: marked}, given{}), false},
		{"given fault inside a mark", mark.New(given{}, fault.Permanent, 0), true},
	} {
		if got := mark.On(tc.err); got != tc.want {
			t.Errorf("%s: On = %v, want %v", tc.name, got, tc.want)
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
		{"a mark outranks", mark.New(plain, fault.Permanent, time.Second),
			fault.Fault{Kind: fault.Permanent, After: time.Second, Detail: "my rule"}},
		{"a mark beside a given fault outranks", errors.Join(given{f: fault.Fault{Final: true}},
			mark.New(plain, fault.Permanent, 0)),
			fault.Fault{Kind: fault.Permanent, Detail: "my rule"}},
		{"given finality is kept", given{f: fault.Fault{Kind: fault.Permanent, Final: true}},
			fault.Fault{Kind: fault.Transient, Final: true, Detail: "my rule"}},
	} {
		tc.want.Err = tc.err
		if got := mark.Settle(opinion, tc.err); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
	final := mark.Settle(fault.Fault{Kind: fault.Transient}, given{f: fault.Fault{Final: true}})
	if !final.Final {
		t.Error("Settle lost that a layer below had retried to the end")
	}
	other := errors.New("other")
	if got := mark.Settle(fault.Fault{Err: other}, plain).Err; got != other {
		t.Errorf("Settle replaced the classifier's error by %v, want %v", got, other)
	}
}
