package reboundriver_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/reboundriver"
)

// row is a job that has failed n times, the first time an hour ago.
func row(attempt, maxAttempts, errs int) *rivertype.JobRow {
	job := &rivertype.JobRow{Attempt: attempt, MaxAttempts: maxAttempts}
	for range errs {
		job.Errors = append(job.Errors, rivertype.AttemptError{At: time.Now().Add(-time.Hour)})
	}
	return job
}

// What River gets for each row and policy.
func TestDecisions(t *testing.T) {
	flaky := errors.New("flaky")
	asks := rebound.RetryAfter(flaky, 10*time.Minute)
	always := &rebound.Policy{Attempts: rebound.Unlimited, Backoff: backoff.Constant(time.Minute)}
	bounded := &rebound.Policy{Attempts: 9, MaxElapsed: 65 * time.Minute,
		Backoff: backoff.Constant(time.Minute)}
	for _, c := range []struct {
		name   string
		policy *rebound.Policy
		job    *rivertype.JobRow
		err    error
		want   string // cancel, snooze or error
		reason rebound.Reason
	}{
		{"flaky", always, row(1, 25, 0), flaky, "error", ""},
		{"snoozes raised River's count", quick(3), row(9, 25, 0), flaky, "error", ""},
		{"River's last attempt", always, row(3, 3, 2), flaky, "error", rebound.Exhausted},
		{"River's last attempt, Retry-After", always, row(3, 3, 2), asks, "snooze", ""},
		{"the policy has more than River", quick(9), row(2, 2, 1), flaky, "error", rebound.Exhausted},
		{"River has more than the policy", quick(2), row(2, 25, 1), flaky, "cancel", rebound.Exhausted},
		{"by hand", quick(2), row(3, 4, 2), flaky, "cancel", rebound.Exhausted},
		{"within MaxElapsed", bounded, row(2, 25, 1), flaky, "error", ""},
		{"Retry-After beyond MaxElapsed", bounded, row(2, 25, 1), asks, "cancel",
			rebound.PastElapsed},
		{"Retry-After of the first failure", bounded, row(1, 25, 0), asks, "snooze", ""},
		{"Retry-After beyond MaxRetryAfter", always, row(1, 25, 0),
			rebound.RetryAfter(flaky, 24*time.Hour), "snooze", ""},
		{"permanent", always, row(1, 25, 0), rebound.Permanent(flaky), "cancel",
			rebound.NotRetryable},
		{"an answer", always, row(1, 25, 0), &answer{}, "cancel", rebound.NotRetryable},
		{"in doubt", &rebound.Policy{NonIdempotent: true}, row(1, 25, 0), flaky, "cancel",
			rebound.NotIdempotent},
		{"invalid", &rebound.Policy{MaxElapsed: -1}, row(1, 25, 0), flaky, "error", rebound.Invalid},
		{"a gate that is nil", &rebound.Policy{Gates: []gate.Gate{nil}}, row(1, 25, 0), nil, "error",
			rebound.Invalid},
	} {
		err := (&reboundriver.Middleware{Policy: c.policy}).Work(t.Context(), c.job,
			func(context.Context) error { return c.err })
		got := "error"
		switch {
		case errors.As(err, new(*rivertype.JobCancelError)):
			got = "cancel"
		case errors.As(err, new(*rivertype.JobSnoozeError)):
			got = "snooze"
		}
		var stopped *rebound.Error
		reason := rebound.Reason("")
		if errors.As(err, &stopped) {
			reason = stopped.Reason
		}
		if got != c.want || reason != c.reason || err == nil {
			t.Errorf("%s: %s for %q (%v), want %s for %q", c.name, got, reason, err, c.want, c.reason)
		}
	}
}

// answer is an error that is an answer, like sql.ErrNoRows.
type answer struct{}

func (*answer) Error() string { return "no rows" }

// DescribeFault returns the error's classification.
func (*answer) DescribeFault() fault.Fault { return fault.Fault{Kind: fault.None} }

// The end of a job's context is a failure after the job's time, but not when the client stops.
func TestEndOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []rebound.Event
		p := &rebound.Policy{Backoff: backoff.Constant(time.Minute)}
		p.Observe = func(_ context.Context, e rebound.Event) { events = append(events, e) }
		m := &reboundriver.Middleware{Policy: p}
		own := errors.New("cut off")
		work := func(ctx context.Context) error { <-ctx.Done(); return own }

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := m.Work(ctx, row(1, 1, 0), work); err != own || len(events) > 0 {
			t.Errorf("the client stops: %v, events %v; want the error as it is", err, events)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		job := row(1, 25, 0)
		if err := m.Work(ctx, job, work); err != own || len(events) != 1 {
			t.Errorf("the job's time: %v, events %v; want a retry", err, events)
		}
		if d := time.Until((reboundriver.Policy{Policy: p}).NextRetry(job)); d != time.Minute {
			t.Errorf("the next attempt is in %v, want the policy's minute", d)
		}
	})
}

// A periodic job is a job like any other.
func TestPeriodicJobs(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	e := start(t, quick(3), func(context.Context, *river.Job[args]) error {
		if calls.Add(1) == 1 {
			return errors.New("flaky")
		}
		return nil
	})
	e.PeriodicJobs().Add(river.NewPeriodicJob(river.PeriodicInterval(time.Hour),
		func() (river.JobArgs, *river.InsertOpts) {
			return args{"periodic"}, &river.InsertOpts{Queue: e.queue}
		}, &river.PeriodicJobOpts{RunOnStart: true}))
	for done := false; !done; {
		job := e.next().Job
		done = job.FinalizedAt != nil && strings.Contains(string(job.EncodedArgs), "periodic")
		if done && (job.State != rivertype.JobStateCompleted || len(job.Errors) != 1) {
			t.Errorf("state %s with errors %v: want a retry", job.State, job.Errors)
		}
	}
}

// A job of Work that is canceled in the middle stays canceled.
func TestJobCancelInTheMiddle(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	var calls atomic.Int64
	e := start(t, quick(3), func(ctx context.Context, _ *river.Job[args]) error {
		calls.Add(1)
		close(began)
		<-ctx.Done()
		return errors.New("cut off")
	})
	id := e.insert("in the middle").ID
	<-began
	if _, err := e.JobCancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if job := e.until(id); job.State != rivertype.JobStateCancelled || calls.Load() != 1 {
		t.Errorf("state %s after %d calls", job.State, calls.Load())
	}
}

// Work's own decision is returned unchanged, and is not a retry of the policy. A success is an
// event.
func TestOwnDecisionsRaiseNoRetry(t *testing.T) {
	for _, c := range []struct {
		err  error
		want []rebound.EventKind
	}{
		{river.JobCancel(errors.New("as is")), nil},
		{river.JobSnooze(time.Hour), nil},
		{nil, []rebound.EventKind{rebound.Succeeded}},
		{errors.New("flaky"), []rebound.EventKind{rebound.Retrying}},
	} {
		var got []rebound.EventKind
		p := &rebound.Policy{Observe: func(_ context.Context, e rebound.Event) {
			got = append(got, e.Kind)
		}}
		err := (&reboundriver.Middleware{Policy: p}).Work(t.Context(), row(1, 25, 0),
			func(context.Context) error { return c.err })
		if err != c.err || !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v and the events %v, want %v", c.err, err, got, c.want)
		}
	}
}

// NextRetry returns the middleware's decision for this failure, once.
func TestDecidedDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &rebound.Policy{Backoff: backoff.Constant(time.Minute),
			Throttled: backoff.Constant(7 * time.Minute)}
		job := row(1, 25, 0)
		_ = (&reboundriver.Middleware{Policy: p}).Work(t.Context(), job,
			func(context.Context) error { return overload{} })
		next := func() time.Duration {
			return time.Until((reboundriver.Policy{Policy: p}).NextRetry(job))
		}
		if d := next(); d != 7*time.Minute {
			t.Errorf("the next attempt is in %v, want 7m", d)
		}
		if d := next(); d != time.Minute {
			t.Errorf("after a failure that it has not seen: %v, want 1m", d)
		}
	})
}

// overload is the error of a server without room.
type overload struct{}

func (overload) Error() string { return "busy" }

// DescribeFault returns the error's classification.
func (overload) DescribeFault() fault.Fault { return fault.Fault{Kind: fault.Overloaded} }
