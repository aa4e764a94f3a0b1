package rebound_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// Rules 4, 6, 7 and 8 as a table: what a call of a failing function does, and when it is over.
func TestWhenCallsEnd(t *testing.T) {
	second := backoff.Constant(time.Second)
	asked := func(d time.Duration) error { return rebound.RetryAfter(errFlaky, d) }
	for _, row := range []struct {
		name     string
		policy   *rebound.Policy
		deadline time.Duration
		err      error
		calls    int
		took     time.Duration
		want     rebound.Reason
	}{
		{"a wait the deadline cuts off is not begun", &rebound.Policy{Backoff: second},
			1500 * time.Millisecond, errFlaky, 2, time.Second, rebound.PastDeadline},
		{"nor one that ends with it", &rebound.Policy{Backoff: second},
			time.Second, errFlaky, 1, 0, rebound.PastDeadline},
		{"MaxElapsed", &rebound.Policy{Backoff: second, MaxElapsed: 1500 * time.Millisecond},
			0, errFlaky, 2, time.Second, rebound.PastElapsed},
		{"no wait after the last attempt", &rebound.Policy{Backoff: second},
			0, errFlaky, 3, 2 * time.Second, rebound.Exhausted},
		{"one attempt", &rebound.Policy{Backoff: second, Attempts: 1},
			0, errFlaky, 1, 0, rebound.Exhausted},
		{"a zero delay does not wait", &rebound.Policy{Backoff: atOnce},
			0, errFlaky, 3, 0, rebound.Exhausted},
		{"an asked wait past the deadline", &rebound.Policy{}, time.Minute, asked(time.Hour / 60),
			1, 0, rebound.PastDeadline},
		{"an asked wait past the default limit", &rebound.Policy{}, 0,
			asked(2*time.Minute + 1), 1, 0, rebound.WaitTooLong},
		{"an asked wait past MaxRetryAfter", &rebound.Policy{MaxRetryAfter: time.Second}, 0,
			asked(2 * time.Second), 1, 0, rebound.WaitTooLong},
		{"a negative asked wait counts as none", &rebound.Policy{Throttled: second}, 0,
			asked(-time.Hour), 3, 2 * time.Second, rebound.Exhausted},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, begin, calls := t.Context(), time.Now(), 0
				if row.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, row.deadline)
					defer cancel()
				}
				err := rebound.Run(ctx, row.policy, failing(&calls, row.err))
				e, took := mustError(t, err), time.Since(begin)
				if calls != row.calls || took != row.took || e.Reason != row.want {
					t.Errorf("got %d calls, %v, %v; want %d, %v, %v", calls, took, e.Reason,
						row.calls, row.took, row.want)
				}
				if !errors.Is(err, errFlaky) {
					t.Errorf("%v has lost the last error", err)
				}
			})
		})
	}
}

// Rule 6: a server-asked wait is a floor, with jitter upward by at most a quarter.
func TestAskedWaitIsAFloor(t *testing.T) {
	p := &rebound.Policy{Throttled: backoff.Constant(10 * time.Second)}
	for _, row := range []struct {
		after      time.Duration
		u          float64
		least, max time.Duration
	}{
		{8 * time.Second, -1, 10 * time.Second, 10 * time.Second},
		{8 * time.Second, 0, 10 * time.Second, 10 * time.Second},
		{20 * time.Second, -1, 20 * time.Second, 20 * time.Second},
		{20 * time.Second, 0.5, 22*time.Second + 500*time.Millisecond,
			22*time.Second + 500*time.Millisecond},
		{20 * time.Second, 0.999, 24 * time.Second, 25 * time.Second},
		{time.Second, 0.5, 10 * time.Second, 10*time.Second + 125*time.Millisecond},
	} {
		d := p.Decide(rebound.State{Attempt: 1, U: row.u},
			fault.Fault{Kind: fault.RateLimited, After: row.after})
		if !d.Retry || d.Delay < row.least || d.Delay > row.max {
			t.Errorf("after %v, u %v: got %+v, want %v to %v", row.after, row.u, d, row.least,
				row.max)
		}
	}
	for range 1000 {
		f := fault.Of(rebound.RetryAfter(errFlaky, time.Second))
		d := (*rebound.Policy)(nil).Decide(rebound.State{Attempt: 1, U: 0.3}, f)
		if d.Delay < time.Second {
			t.Fatalf("got %v, less than the second asked for", d.Delay)
		}
	}
}

// Rule 7: every wait ends at once when the context does, and leaves no timer behind.
func TestWaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- rebound.Run(ctx, &rebound.Policy{Backoff: backoff.Constant(time.Hour)},
				failing(new(int), errFlaky))
		}()
		synctest.Wait()
		begin := time.Now()
		cancel()
		err := <-done
		if took := time.Since(begin); took != 0 || !errors.Is(err, rebound.Canceled) {
			t.Errorf("ended %v after the context, with %v", took, err)
		}
	})
}

// A context that has ended before the call: nothing is attempted.
func TestDeadContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	quit := errors.New("quit")
	cancel(quit)
	for name, p := range map[string]*rebound.Policy{
		"plain": nil, "observed": {Observe: func(context.Context, rebound.Event) {}},
	} {
		calls := 0
		e := mustError(t, rebound.Run(ctx, p, failing(&calls, nil)))
		if calls != 0 || e.Attempts != 0 || e.Reason != rebound.Canceled || e.Cause != quit {
			t.Errorf("%s: got %d calls and %+v", name, calls, e)
		}
	}
}

// Rule 8: an attempt's own timeout is Transient, the caller's end is Canceled.
func TestWhoseTimeout(t *testing.T) {
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	mute := func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("something went wrong")
	}
	timeout := &rebound.Policy{AttemptTimeout: time.Second, Backoff: atOnce}
	onlyTimeouts := timeout.Clone()
	onlyTimeouts.RetryIf = func(f fault.Fault) bool { return fault.IsTimeout(f.Err) }
	cut := &rebound.Policy{AttemptTimeout: 2 * time.Second, MaxElapsed: 3 * time.Second,
		Backoff: atOnce}
	for _, row := range []struct {
		name     string
		policy   *rebound.Policy
		deadline time.Duration
		fn       func(context.Context) error
		attempts int
		took     time.Duration
		kind     fault.Kind
		want     rebound.Reason
	}{
		{"own", timeout, 0, hang, 3, 3 * time.Second, fault.Transient, rebound.Exhausted},
		{"own, error says nothing", timeout, 0, mute, 3, 3 * time.Second, fault.Transient,
			rebound.Exhausted},
		{"own, and IsTimeout sees it", onlyTimeouts, 0, mute, 3, 3 * time.Second,
			fault.Transient, rebound.Exhausted},
		{"own, cut by MaxElapsed", cut, 0, hang, 2, 3 * time.Second, fault.Transient,
			rebound.PastElapsed},
		{"the caller's", timeout, 1500 * time.Millisecond, hang, 2, 1500 * time.Millisecond,
			fault.Canceled, rebound.Canceled},
		{"the caller's, error says nothing", timeout, 500 * time.Millisecond, mute, 1,
			500 * time.Millisecond, fault.Canceled, rebound.Canceled},
		{"the caller's, no attempt timeout", &rebound.Policy{}, time.Second, hang, 1, time.Second,
			fault.Canceled, rebound.Canceled},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, begin := t.Context(), time.Now()
				if row.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, row.deadline, errors.New("late"))
					defer cancel()
				}
				e := mustError(t, rebound.Run(ctx, row.policy, row.fn))
				took := time.Since(begin)
				if e.Attempts != row.attempts || took != row.took || e.Reason != row.want ||
					e.Fault.Kind != row.kind {
					t.Errorf("got %d attempts, %v, %v, %v; want %d, %v, %v, %v",
						e.Attempts, took, e.Fault.Kind, e.Reason,
						row.attempts, row.took, row.kind, row.want)
				}
			})
		})
	}
}

// Rule 8: whoever keeps the caller's deadline by other means may notice it before the context.
func TestDeadlineNoticedEarly(t *testing.T) {
	late := &lateContext{Context: t.Context(), deadline: time.Now().Add(-1)}
	b := &breaker.Breaker{Failures: 1}
	err := rebound.Run(late, &rebound.Policy{Breaker: b}, failing(new(int), errFlaky))
	e := mustError(t, err)
	if e.Reason != rebound.Canceled || !errors.Is(err, context.DeadlineExceeded) ||
		e.Fault.Kind != fault.Canceled {
		t.Errorf("got %v, %v", e.Fault.Kind, err)
	}
	if b.State() != breaker.Open {
		t.Errorf("the breaker is %v: a deadline that runs out in an attempt is a failure", b.State())
	}
}

// lateContext is past its deadline, but its timer has not run yet.
type lateContext struct {
	context.Context
	deadline time.Time
}

func (c *lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Rule 8: an answer that comes late is an answer, and the caller's end is no timeout.
func TestAnswerUnderAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, took := range []time.Duration{0, 2 * time.Second} {
			calls := 0
			b := &breaker.Breaker{Failures: 1}
			p := &rebound.Policy{AttemptTimeout: time.Second, Breaker: b,
				Classify: func(error) fault.Fault { return fault.Fault{Kind: fault.None} }}
			ctx, cancel := context.WithCancel(t.Context())
			err := rebound.Run(ctx, p, func(context.Context) error {
				calls++
				<-time.After(took)
				if took == 0 {
					cancel()
				}
				return errFlaky
			})
			if calls != 1 || !errors.Is(err, rebound.NotRetryable) || b.State() != breaker.Closed {
				t.Errorf("got %d calls, %v, breaker %v", calls, err, b.State())
			}
			cancel()
		}
	})
}

// MaxElapsed bounds what gates wait as well, and no attempt begins after it.
func TestMaxElapsedBoundsGates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, g := range map[string]gate.Gate{"heeds": waiting{}, "deaf": deaf{}} {
			begin, calls := time.Now(), 0
			err := rebound.Run(t.Context(), &rebound.Policy{MaxElapsed: 2 * time.Second,
				Gates: []gate.Gate{g}}, failing(&calls, nil))
			if calls != 0 || !errors.Is(err, rebound.PastElapsed) {
				t.Errorf("%s: got %d calls and %v after %v", name, calls, err, time.Since(begin))
			}
		}
	})
}

// deaf is a gate that waits for a minute whatever its context says.
type deaf struct{ waiting }

func (deaf) Enter(context.Context) (gate.Pass, error) {
	<-time.After(time.Minute)
	return gate.Pass{}, nil
}

// Rule 8: a context.Canceled that is not the caller's is no reason to stop.
func TestSomebodyElsesCancellation(t *testing.T) {
	calls := 0
	err := rebound.Run(t.Context(), &rebound.Policy{Backoff: atOnce},
		failing(&calls, context.Canceled))
	if calls != 3 || !errors.Is(err, rebound.Exhausted) {
		t.Errorf("got %d calls and %v, want 3", calls, err)
	}
}

// Rule 8: once the caller has gone, the look of the error does not matter, but for a mark.
func TestErrorsAfterTheCallersEnd(t *testing.T) {
	permanent := func(error) fault.Fault { return fault.Fault{Kind: fault.Permanent} }
	answer := func(error) fault.Fault { return fault.Fault{Kind: fault.None} }
	for _, row := range []struct {
		name     string
		classify fault.Classifier
		err      error
		want     rebound.Reason
	}{
		{"unknown", nil, errFlaky, rebound.Canceled},
		{"looks permanent", permanent, errFlaky, rebound.Canceled},
		{"marked transient", nil, rebound.Transient(errFlaky), rebound.Canceled},
		{"marked permanent", nil, rebound.Permanent(errFlaky), rebound.NotRetryable},
		{"an answer", answer, errFlaky, rebound.NotRetryable},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		err := rebound.Run(ctx, &rebound.Policy{Classify: row.classify},
			func(context.Context) error { cancel(); return row.err })
		if e := mustError(t, err); e.Reason != row.want || !errors.Is(err, errFlaky) {
			t.Errorf("%s: got %v, want %v", row.name, err, row.want)
		}
	}
}

// Rule 15: elapsed times count from the start where MaxElapsed, AttemptTimeout or Observe asks for
// them; else there are none.
func TestElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(context.Context) error {
			time.Sleep(time.Second)
			return errFlaky
		}
		watch := func(context.Context, rebound.Event) {}
		for _, row := range []struct {
			name   string
			policy *rebound.Policy
			want   time.Duration
		}{
			{"no clock", &rebound.Policy{Backoff: atOnce}, 0},
			{"AttemptTimeout", &rebound.Policy{Backoff: atOnce, AttemptTimeout: time.Minute},
				3 * time.Second},
			{"observed", &rebound.Policy{Backoff: atOnce, Observe: watch}, 3 * time.Second},
			{"MaxElapsed", &rebound.Policy{Backoff: atOnce, MaxElapsed: time.Minute},
				3 * time.Second},
		} {
			e := mustError(t, rebound.Run(t.Context(), row.policy, slow))
			if e.Elapsed != row.want {
				t.Errorf("%s: got %v, want %v", row.name, e.Elapsed, row.want)
			}
		}
	})
}
