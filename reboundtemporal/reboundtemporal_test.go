package reboundtemporal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/reboundtemporal"
)

// declined is an error of a type, with a cause.
type declined struct{ cause error }

func (d *declined) Error() string { return "declined: " + d.cause.Error() }
func (d *declined) Unwrap() error { return d.cause }

var (
	errReset = errors.New("connection reset")
	fixed    = backoff.Constant(40 * time.Second)
)

func unavailable(after time.Duration) error {
	return rebound.RetryAfter(errors.New("status 429"), after)
}

// TestDelays compares the delay that Temporal gets after each failure. The range is [want, upTo].
func TestDelays(t *testing.T) {
	linear := backoff.Linear{Base: time.Second, Step: 2 * time.Second, Jitter: backoff.None()}
	fib := backoff.Fibonacci{Base: time.Second, Jitter: backoff.None()}
	for name, test := range map[string]struct {
		policy *rebound.Policy
		err    error
		n      int // failed attempts before the checked one
		want   time.Duration
		upTo   time.Duration
	}{
		"backoff": {&rebound.Policy{Backoff: fixed}, errReset, 0,
			40 * time.Second, 40 * time.Second},
		"linear": {&rebound.Policy{Backoff: linear}, errReset, 1,
			3 * time.Second, 3 * time.Second},
		"fibonacci": {&rebound.Policy{Attempts: 9, Backoff: fib}, errReset, 4,
			5 * time.Second, 5 * time.Second},
		"decorrelated": {&rebound.Policy{Attempts: 9, Backoff: backoff.Decorrelated{}}, errReset, 3,
			1, 30 * time.Second},
		"no delay": {&rebound.Policy{Backoff: backoff.Constant(0)}, errReset, 0,
			time.Millisecond, time.Millisecond},
		"throttled": {&rebound.Policy{Backoff: fixed, Throttled: backoff.Constant(time.Hour)},
			unavailable(0), 0, time.Hour, time.Hour},
		"Retry-After": {&rebound.Policy{Backoff: backoff.Constant(0)}, unavailable(time.Hour), 0,
			time.Hour, 75 * time.Minute},
		"an ApplicationError inside": {&rebound.Policy{Backoff: backoff.Constant(0)},
			fmt.Errorf("charge: %w", temporal.NewApplicationErrorWithOptions("later", "Busy",
				temporal.ApplicationErrorOptions{NextRetryDelay: time.Minute})), 0,
			time.Minute, 75 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, test.policy, reboundtemporal.RetryPolicy(test.policy),
				func(_ context.Context, attempt int) error {
					if attempt > test.n+1 {
						return nil
					}
					return test.err
				})
			if r.err != nil || r.calls != test.n+2 {
				t.Fatalf("%d calls: %v", r.calls, r.err)
			}
			app := r.errs[test.n].(*temporal.ApplicationError)
			if d := app.NextRetryDelay(); d < test.want || d > test.upTo || app.NonRetryable() {
				t.Errorf("%v after failure %d: want %v to %v", d, test.n+1, test.want, test.upTo)
			}
		})
	}
}

// TestStops are failures after which Temporal must make no further attempt.
func TestStops(t *testing.T) {
	forever := &temporal.RetryPolicy{MaximumAttempts: 9}
	for name, test := range map[string]struct {
		policy *rebound.Policy
		rp     *temporal.RetryPolicy
		err    error
		calls  int
		reason rebound.Reason
		final  bool // not retryable; otherwise the server stops
	}{
		"permanent": {&rebound.Policy{}, nil, rebound.Permanent(errReset), 1,
			rebound.NotRetryable, true},
		"an answer": {&rebound.Policy{Classify: func(error) fault.Fault {
			return fault.Fault{Kind: fault.None}
		}}, nil, errReset, 1, rebound.NotRetryable, true},
		"not retried by RetryIf": {&rebound.Policy{RetryIf: func(fault.Fault) bool { return false }},
			nil, errReset, 1, rebound.NotRetryable, true},
		"in doubt": {&rebound.Policy{NonIdempotent: true}, nil, errReset, 1,
			rebound.NotIdempotent, true},
		"the policy's last attempt": {&rebound.Policy{Attempts: 2}, forever, errReset, 2,
			rebound.Exhausted, true},
		"both last attempts": {&rebound.Policy{Attempts: 2},
			reboundtemporal.RetryPolicy(&rebound.Policy{Attempts: 2}), errReset, 2,
			rebound.Exhausted, false},
		"Temporal's last attempt": {&rebound.Policy{Attempts: 7},
			&temporal.RetryPolicy{MaximumAttempts: 3}, errReset, 3, rebound.Exhausted, false},
		"Unlimited ends with Temporal": {&rebound.Policy{Attempts: rebound.Unlimited},
			&temporal.RetryPolicy{MaximumAttempts: 4}, errReset, 4, rebound.Exhausted, false},
		"past MaxElapsed": {&rebound.Policy{MaxElapsed: time.Minute,
			Backoff: backoff.Constant(time.Hour)}, nil, errReset, 1, rebound.PastElapsed, true},
		"an ApplicationError inside": {&rebound.Policy{}, nil, fmt.Errorf("charge: %w",
			temporal.NewNonRetryableApplicationError("no", "Declined", nil)), 1,
			rebound.NotRetryable, true},
	} {
		t.Run(name, func(t *testing.T) {
			var events []rebound.Event
			test.policy.Observe = func(_ context.Context, e rebound.Event) {
				events = append(events, e)
			}
			r := run(t, test.policy, test.rp, func(context.Context, int) error { return test.err })
			if r.calls != test.calls {
				t.Errorf("%d calls, want %d", r.calls, test.calls)
			}
			app := r.last(t)
			if got := reasonIn(app); got != test.reason {
				t.Errorf("detail %q: want %s", got, test.reason)
			}
			if app.NonRetryable() != test.final || app.NextRetryDelay() != 0 {
				t.Errorf("not retryable: %v, delay %v", app.NonRetryable(), app.NextRetryDelay())
			}
			if got := reasonIn(r.cause(t)); got != test.reason {
				t.Errorf("the workflow gets the detail %q", got)
			}
			if e := events[len(events)-1]; e.Kind != rebound.GaveUp || e.Reason != test.reason ||
				len(events) != test.calls {
				t.Errorf("events %v", events)
			}
		})
	}
}

// TestSameAsWithout compares what a workflow gets with and without the interceptor.
func TestSameAsWithout(t *testing.T) {
	for name, err := range map[string]error{
		"text":              errReset,
		"a type":            &declined{errReset},
		"wrapped":           fmt.Errorf("charge: %w", &declined{errReset}),
		"joined":            errors.Join(errReset, &declined{errReset}),
		"ApplicationError":  temporal.NewApplicationError("m", "Type", 7),
		"NonRetryableError": temporal.NewNonRetryableApplicationError("m", "Type", errReset, 7),
		"canceled":          temporal.NewCanceledError("x"),
		"server":            temporal.NewTimeoutError(3, errReset),
	} {
		t.Run(name, func(t *testing.T) {
			rp := &temporal.RetryPolicy{MaximumAttempts: 1}
			want := runIn(t, nil, rp, func(context.Context) error { return err })
			r := run(t, &rebound.Policy{}, rp, func(context.Context, int) error { return err })
			if got, want := chain(r.err), chain(want); !slices.Equal(got, want) {
				t.Errorf("got\n%q\nwithout\n%q", got, want)
			}
		})
	}
}

// chain is what a workflow can get from an error: forms, types and messages.
func chain(err error) (all []string) {
	for ; err != nil; err = errors.Unwrap(err) {
		s := fmt.Sprintf("%T", err)
		if app, ok := err.(*temporal.ApplicationError); ok {
			s += " " + app.Type() + ": " + app.Message()
		}
		all = append(all, s)
	}
	return all
}

// A mark has no type, and hides none.
func TestMarksHaveNoType(t *testing.T) {
	for _, mark := range []func(error) error{
		rebound.Permanent,
		func(err error) error { return rebound.Permanent(rebound.RetryAfter(err, time.Hour)) },
	} {
		r := run(t, nil, nil, func(context.Context, int) error { return mark(&declined{errReset}) })
		app := r.cause(t)
		if app.Type() != "declined" || app.Message() != "declined: connection reset" || r.calls != 1 {
			t.Errorf("%q %q after %d calls", app.Type(), app.Message(), r.calls)
		}
		var inner *temporal.ApplicationError
		if !errors.As(app.Unwrap(), &inner) || inner.Message() != "connection reset" {
			t.Errorf("cause %#v", app.Unwrap())
		}
		own := temporal.NewApplicationError("m", "Type", 7)
		r = run(t, nil, nil, func(context.Context, int) error { return mark(own) })
		var n int
		if app := r.cause(t); app.Type() != "Type" || app.Message() != "m" || r.calls != 1 ||
			!errors.As(app.Unwrap(), &inner) || inner.Details(&n) != nil || n != 7 {
			t.Errorf("%v after %d calls", app, r.calls)
		}
	}
}

// The types in the workflow's own retry policy stay valid.
func TestNonRetryableErrorTypes(t *testing.T) {
	rp := &temporal.RetryPolicy{NonRetryableErrorTypes: []string{"declined"}}
	r := run(t, &rebound.Policy{Attempts: 5}, rp, func(context.Context, int) error {
		return &declined{errReset}
	})
	if r.calls != 1 {
		t.Errorf("%d calls", r.calls)
	}
}

// If a breaker rejects an attempt, Temporal retries when the breaker may admit one.
func TestRejected(t *testing.T) {
	b := &breaker.Breaker{}
	b.ForceOpen()
	p := &rebound.Policy{Attempts: 3, Breaker: b, Backoff: fixed}
	r := run(t, p, reboundtemporal.RetryPolicy(p), func(context.Context, int) error { return nil })
	if r.calls != 0 || len(r.errs) != 3 {
		t.Fatalf("%d calls in %d attempts", r.calls, len(r.errs))
	}
	if d := r.errs[0].(*temporal.ApplicationError).NextRetryDelay(); d < 40*time.Second {
		t.Errorf("delay %v", d)
	}
	if got := reasonIn(r.cause(t)); got != rebound.Exhausted {
		t.Errorf("detail %q", got)
	}
	p = &rebound.Policy{Attempts: 2, Breaker: &breaker.Breaker{}, Backoff: fixed}
	p.Breaker.Trip(time.Hour)
	r = run(t, p, nil, func(context.Context, int) error { return nil })
	if d := r.errs[0].(*temporal.ApplicationError).NextRetryDelay(); d < 50*time.Minute {
		t.Errorf("delay %v, while the breaker is open for an hour", d)
	}
}

// Temporal counts a rejected attempt. So the policy's last attempt is the end if the server has no
// limit. Without a limit of the policy, the server's applies.
func TestRejectedAttemptsCount(t *testing.T) {
	for _, row := range []struct {
		attempts, server, want int
	}{{2, 0, 2}, {3, 5, 3}, {1, 0, 1}, {5, 2, 2}, {rebound.Unlimited, 4, 4}} {
		b := &breaker.Breaker{}
		b.ForceOpen()
		p := &rebound.Policy{Attempts: row.attempts, Breaker: b, Backoff: fixed}
		rp := &temporal.RetryPolicy{MaximumAttempts: int32(row.server)}
		r := run(t, p, rp, func(context.Context, int) error { return nil })
		app := r.last(t)
		if len(r.errs) != row.want || reasonIn(app) != rebound.Exhausted {
			t.Errorf("%+v: %d attempts, then %q", row, len(r.errs), reasonIn(app))
		}
		if app.NonRetryable() != (row.want != row.server) {
			t.Errorf("%+v: not retryable: %v", row, app.NonRetryable())
		}
		for i, err := range r.errs[:len(r.errs)-1] {
			if app := err.(*temporal.ApplicationError); app.NonRetryable() ||
				app.NextRetryDelay() <= 0 {
				t.Errorf("%+v: attempt %d: %#v", row, i+1, app)
			}
		}
	}
}

// queue is a gate in which attempts wait until their context ends.
type queue struct{ enter func() }

func (q queue) Enter(ctx context.Context) (gate.Pass, error) {
	q.enter()
	<-ctx.Done()
	return gate.Pass{}, ctx.Err()
}
func (queue) Leave(gate.Pass, gate.Outcome) {}

// An attempt that waits in a gate until the worker stops has done nothing. So Temporal retries it,
// even if the policy is NonIdempotent.
func TestWorkerStopsBeforeTheAttempt(t *testing.T) {
	r := &result{recorder: recorder{policy: &temporal.RetryPolicy{MaximumAttempts: 9}}}
	stops := errors.New("the worker stops")
	p := &rebound.Policy{NonIdempotent: true, Backoff: fixed}
	p.Gates = []gate.Gate{queue{func() {
		r.end(stops)
		p.Gates = nil // of the next attempt
	}}}
	r.run(t, p, func(context.Context, int) error { return nil })
	if len(r.errs) != 2 || r.errs[0] != stops || r.calls != 1 || r.err != nil {
		t.Errorf("%d calls, the worker reports %v, %v; want a second attempt", r.calls, r.errs, r.err)
	}
}

// A success is an event, too.
func TestSuccess(t *testing.T) {
	var kinds []rebound.EventKind
	p := &rebound.Policy{Observe: func(_ context.Context, e rebound.Event) {
		kinds = append(kinds, e.Kind)
	}}
	if r := run(t, p, nil, func(context.Context, int) error { return nil }); r.err != nil {
		t.Fatal(r.err)
	}
	if !slices.Equal(kinds, []rebound.EventKind{rebound.Succeeded}) {
		t.Errorf("events %v", kinds)
	}
}

// An attempt that Temporal makes after the policy's last one, as after a timeout, is made.
func TestBeyondTheLastAttempt(t *testing.T) {
	r := &result{recorder: recorder{attempt: 7, scheduled: time.Now()}}
	r.run(t, &rebound.Policy{Attempts: 3}, func(context.Context, int) error { return nil })
	if r.calls != 1 || r.err != nil {
		t.Errorf("%d calls: %v", r.calls, r.err)
	}
}

// The time of an activity begins when it is scheduled, and its delays grow from the one before.
func TestState(t *testing.T) {
	r := &result{recorder: recorder{attempt: 2, scheduled: time.Now().Add(-time.Hour)}}
	p := &rebound.Policy{Attempts: 5, MaxElapsed: 30 * time.Minute}
	r.run(t, p, func(context.Context, int) error { return errReset })
	if got := reasonIn(r.last(t)); got != rebound.PastElapsed {
		t.Errorf("detail %q after an hour", got)
	}
	r = &result{recorder: recorder{attempt: 4, scheduled: time.Now()}}
	r.run(t, &rebound.Policy{Attempts: 5, Backoff: grows{}}, func(context.Context, int) error {
		if r.calls == 1 {
			return errReset
		}
		return nil
	})
	if d := r.errs[0].(*temporal.ApplicationError).NextRetryDelay(); d != 4*time.Second {
		t.Errorf("%v after failure 4", d)
	}
}

// grows is a backoff that adds a second to the delay before.
type grows struct{}

func (grows) Delay(_ int, prev time.Duration, _ float64) time.Duration { return prev + time.Second }

// If the server has no last attempt, the policy decides.
func TestServerWithoutLastAttempt(t *testing.T) {
	p := &rebound.Policy{Attempts: 2}
	r := run(t, p, &temporal.RetryPolicy{}, func(context.Context, int) error { return errReset })
	if r.calls != 2 || !r.last(t).NonRetryable() {
		t.Errorf("%d calls: %v", r.calls, r.last(t))
	}
}
