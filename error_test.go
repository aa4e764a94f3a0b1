package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
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
)

// Rule 1: last error, reason, attempts and cause are in the error, and all are matchable.
func TestErrorCarriesEverything(t *testing.T) {
	first, last := errors.New("first"), errors.New("last")
	n := 0
	err := rebound.Run(t.Context(), &rebound.Policy{Name: "ocr", Backoff: atOnce},
		func(context.Context) error {
			if n++; n < 3 {
				return first
			}
			return fmt.Errorf("wrapped: %w", last)
		})
	e := mustError(t, err)
	if e.Attempts != 3 || e.Reason != rebound.Exhausted || e.Policy != "ocr" {
		t.Errorf("got %d attempts, reason %q, policy %q", e.Attempts, e.Reason, e.Policy)
	}
	if !errors.Is(err, last) || !errors.Is(err, rebound.Exhausted) {
		t.Errorf("%v: want it to match the last error and the reason", err)
	}
	if errors.Is(err, first) || errors.Is(err, rebound.Canceled) {
		t.Errorf("%v: matches an earlier error or another reason", err)
	}
	if got := errors.Unwrap(err); got == nil || got.Error() != "wrapped: last" {
		t.Errorf("Unwrap: got %v, want the last attempt's error", got)
	}
	var reason rebound.Reason
	if !errors.As(err, &reason) || reason != rebound.Exhausted {
		t.Errorf("As: got reason %q, want %q", reason, rebound.Exhausted)
	}
}

func TestErrorOfFirstPermanentFailure(t *testing.T) {
	calls := 0
	err := rebound.Run(t.Context(), nil, failing(&calls, rebound.Permanent(io.ErrNoProgress)))
	e := mustError(t, err)
	if calls != 1 || e.Attempts != 1 || e.Reason != rebound.NotRetryable ||
		!errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %d calls and %+v", calls, e)
	}
}

func TestErrorText(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{&rebound.Error{Policy: "ocr", Attempts: 3, Reason: rebound.Exhausted,
			Fault: fault.Fault{Detail: "status 503"}, Err: errors.New("service unavailable"),
			Elapsed: 1_204_000_000},
			"rebound: ocr: attempt 3: status 503: service unavailable (exhausted after 1.2s)"},
		{&rebound.Error{Attempts: 1, Reason: rebound.NotRetryable,
			Fault: fault.Fault{Detail: "status 404"}, Err: errors.New("GET: status 404")},
			"rebound: attempt 1: GET: status 404 (not retryable)"},
		{&rebound.Error{Attempts: 2, Reason: rebound.WaitTooLong, Err: errFlaky,
			Fault: fault.Fault{After: time.Hour}, Elapsed: time.Minute},
			"rebound: attempt 2: flaky (wait too long after 1m0s: " +
				"Retry-After delay of 1h0m0s)"},
		{&rebound.Error{Policy: "p", Reason: rebound.Rejected, Cause: errors.New("closed")},
			"rebound: p: (rejected: closed)"},
		{rebound.OutOfBudget, "out_of_budget"},
	} {
		if got := row.err.Error(); got != row.want {
			t.Errorf("got  %s\nwant %s", got, row.want)
		}
	}
	err := rebound.Run(t.Context(), &rebound.Policy{Attempts: 2, Backoff: atOnce},
		failing(new(int), errFlaky))
	if want := "rebound: attempt 2 of 2: flaky (exhausted)"; err.Error() != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

// Rule 1: the context's cause, and its plain error, are matchable beside the last failure.
func TestErrorOfCanceledWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quit := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(quit) })
		begin := time.Now()
		err := rebound.Run(ctx, &rebound.Policy{Backoff: backoff.Constant(time.Minute)},
			failing(new(int), errFlaky))
		e := mustError(t, err)
		for _, want := range []error{errFlaky, quit, context.Canceled, rebound.Canceled} {
			if !errors.Is(err, want) {
				t.Errorf("%v: want it to match %v", err, want)
			}
		}
		if e.Cause != quit || e.Err != errFlaky || e.Attempts != 1 {
			t.Errorf("got cause %v, error %v, %d attempts", e.Cause, e.Err, e.Attempts)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("the wait ended after %v, want 1s", took)
		}
	})
}

func TestErrorTimeout(t *testing.T) {
	for err, want := range map[error]bool{context.DeadlineExceeded: true, errFlaky: false} {
		got := rebound.Run(t.Context(), &rebound.Policy{Attempts: 1}, failing(new(int), err))
		if e := mustError(t, got); e.Timeout() != want {
			t.Errorf("%v: Timeout() = %v, want %v", err, e.Timeout(), want)
		}
	}
}

// nilError is an error type whose nil pointer has no text.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func TestErrorOfNilPointer(t *testing.T) {
	b := &breaker.Breaker{Failures: 1}
	err := rebound.Run(t.Context(), &rebound.Policy{Attempts: 1, Breaker: b},
		failing(new(int), (*nilError)(nil)))
	if got, want := err.Error(), "<nil>"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
	if got := b.Snapshot().OpenedBy; got != "<nil>" {
		t.Errorf("the breaker was opened by %q", got)
	}
}

// Rule 3: the attempts of layers add up, and never multiply.
func TestLayersAdd(t *testing.T) {
	for _, row := range []struct {
		name  string
		inner *rebound.Policy
		outer *rebound.Policy
		wrap  func(error) error
		calls int
		want  rebound.Reason
	}{
		{"exhausted below", &rebound.Policy{}, &rebound.Policy{}, nil, 3, rebound.AlreadyRetried},
		{"RetryIf and Classify cannot lift it", &rebound.Policy{}, &rebound.Policy{
			RetryIf:  func(fault.Fault) bool { return true },
			Classify: func(error) fault.Fault { return fault.Fault{Kind: fault.Transient} },
		}, nil, 3, rebound.AlreadyRetried},
		{"one attempt below is no retrying", &rebound.Policy{Attempts: 1}, &rebound.Policy{}, nil,
			3, rebound.Exhausted},
		{"a Transient mark lifts it", &rebound.Policy{}, &rebound.Policy{}, rebound.Transient,
			9, rebound.Exhausted},
		{"wrapped", &rebound.Policy{}, &rebound.Policy{},
			func(err error) error { return fmt.Errorf("inner: %w", err) },
			3, rebound.AlreadyRetried},
		{"not retryable below", &rebound.Policy{RetryIf: func(fault.Fault) bool { return false }},
			&rebound.Policy{}, nil, 3, rebound.Exhausted},
	} {
		calls := 0
		row.inner.Backoff, row.outer.Backoff = atOnce, atOnce
		row.inner.Budget, row.outer.Budget = budget.Unlimited, budget.Unlimited
		err := rebound.Run(t.Context(), row.outer, func(ctx context.Context) error {
			err := rebound.Run(ctx, row.inner, failing(&calls, errFlaky))
			if row.wrap != nil {
				err = row.wrap(err)
			}
			return err
		})
		e := mustError(t, err)
		if calls != row.calls || e.Reason != row.want {
			t.Errorf("%s: got %d calls, %v; want %d, %v", row.name, calls, e.Reason, row.calls,
				row.want)
		}
		if e.Fault.Kind != fault.Unknown && row.outer.Classify == nil && row.wrap == nil {
			t.Errorf("%s: kind %v was not kept", row.name, e.Fault.Kind)
		}
	}
}

// Rule 2: a mark outranks the predicates of all layers, not only of the one it was made in.
func TestPermanentMarkBelow(t *testing.T) {
	calls := 0
	outer := &rebound.Policy{
		Backoff: atOnce, RetryIf: func(fault.Fault) bool { return true },
		Classify: func(error) fault.Fault { return fault.Fault{Kind: fault.Transient} },
	}
	err := rebound.Run(t.Context(), outer, func(ctx context.Context) error {
		return rebound.Run(ctx, nil, failing(&calls, rebound.Permanent(errFlaky)))
	})
	if calls != 1 || !errors.Is(err, errFlaky) || !errors.Is(err, rebound.NotRetryable) {
		t.Errorf("got %d calls and %v, want 1", calls, err)
	}
	err = rebound.Run(t.Context(), outer, func(ctx context.Context) error {
		return rebound.Transient(
			rebound.Run(ctx, nil, failing(&calls, rebound.Permanent(errFlaky))))
	})
	if calls != 4 || !errors.Is(err, rebound.Exhausted) {
		t.Errorf("a mark around it: got %d calls and %v, want 3 more", calls-1, err)
	}
}

func TestThreeLayersAdd(t *testing.T) {
	calls := 0
	p := &rebound.Policy{Backoff: atOnce}
	layer := func(inner func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error { return rebound.Run(ctx, p.Clone(), inner) }
	}
	err := layer(layer(layer(failing(&calls, errFlaky))))(t.Context())
	if calls != 3 || !errors.Is(err, rebound.AlreadyRetried) || !errors.Is(err, errFlaky) {
		t.Errorf("got %d calls and %v, want 3", calls, err)
	}
}

func TestDurableLoopMayTryAgain(t *testing.T) {
	final := fault.Fault{Kind: fault.Transient, Final: true, After: 10 * time.Hour}
	if d := (*rebound.Policy)(nil).Decide(rebound.State{Attempt: 1}, final); d.Retry {
		t.Errorf("got %+v, want a stop", d)
	}
	d := (*rebound.Policy)(nil).Decide(rebound.State{Attempt: 1, Durable: true}, final)
	if !d.Retry || d.Delay < 10*time.Hour {
		t.Errorf("durable: got %+v, want a retry in 10 hours", d)
	}
}

// Rule 1 and the layers above: a call that never began is not an answer of the service.
func TestCallsThatNeverBegan(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer stop()
	closed := errors.New("closed")
	for _, row := range []struct {
		name  string
		ctx   context.Context
		p     *rebound.Policy
		kind  fault.Kind
		final bool
	}{
		{"a gate waits past MaxElapsed", t.Context(), &rebound.Policy{MaxElapsed: 1,
			Gates: []gate.Gate{waiting{}}}, fault.RateLimited, false},
		{"a gate rejects", t.Context(), &rebound.Policy{Gates: []gate.Gate{refusing{closed}}},
			fault.RateLimited, true},
		{"a nil gate", t.Context(), &rebound.Policy{Gates: []gate.Gate{nil}}, fault.Permanent, true},
		{"a nil breaker as a gate", t.Context(), &rebound.Policy{
			Gates: []gate.Gate{(*breaker.Breaker)(nil)}}, fault.Permanent, true},
		{"canceled before", ended, &rebound.Policy{}, fault.Canceled, false},
		{"past the deadline before", late, &rebound.Policy{}, fault.Transient, false},
	} {
		err := rebound.Run(row.ctx, row.p, func(context.Context) error {
			t.Errorf("%s: fn was called", row.name)
			return nil
		})
		f := fault.Of(err)
		if f.Kind != row.kind || f.Final != row.final || f.Sent != fault.NotSent {
			t.Errorf("%s: %v is %v, %v, final %v, want %v, not_sent, final %v",
				row.name, err, f.Kind, f.Sent, f.Final, row.kind, row.final)
		}
		b := &breaker.Breaker{Failures: 1}
		outer := &rebound.Policy{Attempts: 1, Breaker: b}
		n := 0
		_ = rebound.Run(t.Context(), outer, func(context.Context) error {
			if n++; n == 1 {
				return err
			}
			return nil
		})
		if s := b.Snapshot(); row.kind != fault.Transient && row.kind != fault.Canceled &&
			s.State != breaker.Closed {
			t.Errorf("%s: the breaker above is %v", row.name, s.State)
		}
	}
}

// The attempt's own error comes before an error of the same type in the context's cause.
func TestAsPrefersTheAttempt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	err := rebound.Run(ctx, nil, func(context.Context) error {
		cancel(&os.PathError{Op: "sibling", Err: errFlaky})
		return &os.PathError{Op: "mine", Err: errFlaky}
	})
	var found *os.PathError
	if !errors.As(err, &found) || found.Op != "mine" {
		t.Errorf("got %+v, want the attempt's own", found)
	}
	err = rebound.Run(ctx, nil, func(context.Context) error { return nil })
	if !errors.As(err, &found) || found.Op != "sibling" {
		t.Errorf("without an attempt got %+v, want the cause", found)
	}
}

// A typed nil error, whose methods panic, is an unknown error like any other.
func TestTypedNilErrors(t *testing.T) {
	nils := []error{
		(*url.Error)(nil), (*os.PathError)(nil), (*net.OpError)(nil), (*rebound.Error)(nil),
	}
	policies := map[string]func() *rebound.Policy{
		"zero":     func() *rebound.Policy { return &rebound.Policy{} },
		"RetryIf":  func() *rebound.Policy { return &rebound.Policy{RetryIf: retryAll} },
		"Classify": func() *rebound.Policy { return &rebound.Policy{Classify: fault.Of} },
		"timeout":  func() *rebound.Policy { return &rebound.Policy{AttemptTimeout: time.Nanosecond} },
	}
	for name, policy := range policies {
		for _, typedNil := range nils {
			for _, err := range []error{typedNil, fmt.Errorf("wrapped: %w", typedNil),
				errors.Join(errFlaky, typedNil), rebound.Transient(typedNil)} {
				p := policy()
				p.Backoff = atOnce
				got := rebound.Run(t.Context(), p, func(context.Context) error { return err })
				e := mustError(t, got)
				if e.Attempts != 3 || e.Error() == "" || e.Timeout() && name != "timeout" {
					t.Errorf("%s, %T: got %v", name, typedNil, got)
				}
				_, _ = rebound.DoElse(t.Context(), p, func(context.Context) (int, error) {
					return 0, err
				}, func(context.Context, error) (int, error) { return 0, err })
			}
		}
	}
}

func retryAll(fault.Fault) bool { return true }

// A layer above may retry a call of a single attempt.
func TestOneAttemptIsNotFinal(t *testing.T) {
	for attempts, final := range map[int]bool{1: false, 2: true, 3: true} {
		p := &rebound.Policy{Attempts: attempts, Backoff: atOnce}
		err := rebound.Run(t.Context(), p, func(context.Context) error { return errFlaky })
		if f := fault.Of(err); f.Final != final || !errors.Is(err, rebound.Exhausted) {
			t.Errorf("%d attempts: %v, final %v, want %v", attempts, err, f.Final, final)
		}
	}
}

// For the layers above, the end of an inner call's context is a timeout or a cancellation.
func TestInnerDeadlineIsATimeout(t *testing.T) {
	for _, row := range []struct {
		limit time.Duration
		want  fault.Kind
	}{{time.Second, fault.Transient}, {0, fault.Canceled}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			if row.limit > 0 {
				ctx, cancel = context.WithTimeout(t.Context(), row.limit)
			} else {
				time.AfterFunc(time.Second, cancel)
			}
			defer cancel()
			err := rebound.Run(ctx, nil, func(ctx context.Context) error {
				<-ctx.Done()
				return errFlaky
			})
			if f := fault.Of(err); f.Kind != row.want || f.Final {
				t.Errorf("got %v, final %v, for %v, want %v", f.Kind, f.Final, err, row.want)
			}
		})
	}
}

// A Permanent mark outranks classifiers and predicates any number of layers above.
func TestPermanentMarkThroughLayers(t *testing.T) {
	stubborn := func() *rebound.Policy {
		return &rebound.Policy{Backoff: atOnce, RetryIf: retryAll,
			Classify: func(error) fault.Fault { return fault.Fault{Kind: fault.Transient} }}
	}
	calls := 0
	fn := func(context.Context) error { calls++; return rebound.Permanent(errFlaky) }
	for range 4 {
		inner, p := fn, stubborn()
		fn = func(ctx context.Context) error { return rebound.Run(ctx, p, inner) }
	}
	if err := fn(t.Context()); calls != 1 || !errors.Is(err, rebound.NotRetryable) {
		t.Errorf("got %d calls and %v, want 1", calls, err)
	}
}

// Only the reason, the last error and the cause match.
func TestErrorMatchesNothingElse(t *testing.T) {
	closed := errors.New("closed")
	err := rebound.Run(t.Context(), &rebound.Policy{Gates: []gate.Gate{refusing{closed}}},
		func(context.Context) error { return nil })
	if !errors.Is(err, closed) || !errors.Is(err, rebound.Rejected) || errors.Is(err, io.EOF) ||
		errors.Is(err, rebound.Canceled) || errors.Is(err, context.Canceled) {
		t.Errorf("%v: matches more, or less, than its reason and cause", err)
	}
}

// Limit is the number of attempts that the policy allows, 0 if it allows any number.
func TestLimit(t *testing.T) {
	for attempts, want := range map[int]int{0: 3, 1: 1, 7: 7, rebound.Unlimited: 0} {
		e := mustError(t, rebound.Run(t.Context(), &rebound.Policy{Attempts: attempts},
			func(context.Context) error { return rebound.Permanent(errFlaky) }))
		if e.Limit != want || strings.Contains(e.Error(), "1 of") != (want > 0) {
			t.Errorf("Attempts %d: Limit is %d, want %d: %v", attempts, e.Limit, want, e)
		}
	}
}
