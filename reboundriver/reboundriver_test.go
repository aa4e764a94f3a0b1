package reboundriver_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundriver"
)

type pgxTx = pgx.Tx

func quick(attempts int) *rebound.Policy {
	return &rebound.Policy{Name: "receipts", Attempts: attempts,
		Backoff: backoff.Constant(10 * time.Millisecond)}
}

func TestOutcomes(t *testing.T) {
	flaky := errors.New("connection reset")
	for _, c := range []struct {
		name  string
		fails []error // of the attempts; the next one succeeds
		state rivertype.JobState
		calls int64
		// in the row at the end
		errors, snoozes int
		text            string // in the last error
	}{
		{"success", nil, rivertype.JobStateCompleted, 1, 0, 0, ""},
		{"transient", []error{flaky, flaky}, rivertype.JobStateCompleted, 3, 2, 0, "reset"},
		{"permanent", []error{rebound.Permanent(errors.New("no such receipt"))},
			rivertype.JobStateCancelled, 1, 1, 0,
			"rebound: receipts: attempt 1 of 3: no such receipt (not retryable"},
		{"second permanent", []error{flaky, rebound.Permanent(errors.New("gone"))},
			rivertype.JobStateCancelled, 2, 2, 0, "attempt 2 of 3: gone (not retryable"},
		{"exhausted", []error{flaky, flaky, flaky, nil}, rivertype.JobStateDiscarded, 3, 3, 0,
			"attempt 3 of 3: connection reset (exhausted"},
		{"retry after", []error{rebound.RetryAfter(flaky, time.Millisecond)},
			rivertype.JobStateCompleted, 2, 0, 1, ""},
		{"retry after the last attempt", []error{flaky, flaky,
			rebound.RetryAfter(flaky, time.Millisecond)},
			rivertype.JobStateCompleted, 4, 2, 1, "reset"},
		{"own cancel", []error{river.JobCancel(errors.New("as is"))},
			rivertype.JobStateCancelled, 1, 1, 0, "as is"},
		{"own snooze", []error{river.JobSnooze(0)}, rivertype.JobStateCompleted, 2, 0, 1, ""},
		{"already retried by an inner policy", []error{inner(t)}, rivertype.JobStateCompleted, 2, 1, 0,
			"inner"},
		{"a cancellation that is not the job's", []error{context.Canceled},
			rivertype.JobStateCompleted, 2, 1, 0, "context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			e := start(t, quick(3), func(context.Context, *river.Job[args]) error {
				if n := calls.Add(1); int(n) <= len(c.fails) {
					return c.fails[n-1]
				}
				return nil
			})
			job := e.until(e.insert(c.name).ID)
			if job.State != c.state || calls.Load() != c.calls || len(job.Errors) != c.errors ||
				snoozes(t, job) != c.snoozes {
				t.Errorf("state %s, %d calls, errors %v, %d snoozes: want %s, %d, %d, %d", job.State,
					calls.Load(), job.Errors, snoozes(t, job), c.state, c.calls, c.errors, c.snoozes)
			}
			if n := len(job.Errors); n > 0 && !strings.Contains(job.Errors[n-1].Error, c.text) {
				t.Errorf("the last error is %q: want %q in it", job.Errors[n-1].Error, c.text)
			}
		})
	}
}

// inner is the error of a policy that has given up.
func inner(t *testing.T) error {
	err := rebound.Run(t.Context(), &rebound.Policy{Name: "inner", Backoff: backoff.Constant(0)},
		func(context.Context) error { return errors.New("down") })
	return err
}

func TestPanicIsRetried(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	e := start(t, quick(3), func(context.Context, *river.Job[args]) error {
		if calls.Add(1) == 1 {
			panic("a nil map")
		}
		return nil
	})
	job := e.until(e.insert("panics").ID)
	if job.State != rivertype.JobStateCompleted || len(job.Errors) != 1 ||
		job.Errors[0].Error != "a nil map" || job.Errors[0].Trace == "" {
		t.Errorf("state %s, errors %v: want a retry after the panic", job.State, job.Errors)
	}
}

func TestJobTimeoutIsTransient(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	// The backoff is longer than an attempt may take.
	p := &rebound.Policy{Backoff: backoff.Constant(500 * time.Millisecond)}
	e := start(t, p, func(ctx context.Context, _ *river.Job[args]) error {
		if calls.Add(1) == 1 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}, func(c *river.Config) { c.JobTimeout = 100 * time.Millisecond })
	if job := e.until(e.insert("slow").ID); job.State != rivertype.JobStateCompleted ||
		len(job.Errors) != 1 {
		t.Errorf("state %s, errors %v: want a second attempt", job.State, job.Errors)
	}
}

func TestStopLeavesTheJob(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	e := start(t, quick(1), func(ctx context.Context, _ *river.Job[args]) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	})
	id := e.insert("under way").ID
	<-began
	if err := e.StopAndCancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	job, err := e.JobGet(t.Context(), id)
	if err != nil || job.State != rivertype.JobStateAvailable || len(job.Errors) != 0 {
		t.Errorf("%v %s with errors %v: want it available, and no attempt used", err, job.State,
			job.Errors)
	}
}

func TestOpenBreakerSnoozes(t *testing.T) {
	t.Parallel()
	p := quick(3)
	p.Breaker = &breaker.Breaker{Cooldown: 300 * time.Millisecond}
	p.Breaker.ForceOpen()
	var calls atomic.Int64
	e := start(t, p, func(context.Context, *river.Job[args]) error { calls.Add(1); return nil })
	id := e.insert("rejected").ID
	if first := e.next(); first.Kind != river.EventKindJobSnoozed || calls.Load() != 0 {
		t.Errorf("%s after %d calls: want a snooze, and no call", first.Kind, calls.Load())
	}
	p.Breaker.Reset()
	if job := e.until(id); job.State != rivertype.JobStateCompleted || len(job.Errors) != 0 {
		t.Errorf("state %s, errors %v: want a success", job.State, job.Errors)
	}
}

// Jobs that a breaker has rejected come back when it may admit one, but not all at once.
func TestRejectedJobsSpread(t *testing.T) {
	p := quick(3)
	p.Breaker = &breaker.Breaker{}
	p.Breaker.Trip(time.Hour)
	delays := map[time.Duration]bool{}
	for range 20 {
		job := &rivertype.JobRow{Attempt: 1, MaxAttempts: 3}
		err := (&reboundriver.Middleware{Policy: p}).Work(t.Context(), job, nil)
		var snooze *rivertype.JobSnoozeError
		if !errors.As(err, &snooze) {
			t.Fatalf("got %v, want a snooze", err)
		}
		if d := snooze.Duration; d < 59*time.Minute || d > 75*time.Minute {
			t.Errorf("a snooze of %v, while the breaker is open for an hour", d)
		}
		delays[snooze.Duration.Truncate(time.Second)] = true
	}
	if len(delays) < 10 {
		t.Errorf("20 jobs come back at %d times", len(delays))
	}
}

func TestRolledBackInsertLeavesNoJob(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	e := start(t, quick(3), func(context.Context, *river.Job[args]) error { calls.Add(1); return nil })
	tx, err := e.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res, err := e.InsertTx(t.Context(), tx, args{"rolled back"}, &river.InsertOpts{Queue: e.queue})
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.until(e.insert("after it").ID)
	if _, err := e.JobGet(t.Context(), res.Job.ID); !errors.Is(err, rivertype.ErrNotFound) ||
		calls.Load() != 1 {
		t.Errorf("%v, %d calls: want no job, and one call for the other", err, calls.Load())
	}
}

func TestRetryByHand(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	e := start(t, quick(2), func(context.Context, *river.Job[args]) error {
		if calls.Add(1) <= 2 {
			return errors.New("down")
		}
		return nil
	})
	job := e.until(e.insert("by hand").ID)
	if job.State != rivertype.JobStateDiscarded {
		t.Fatalf("state %s: want discarded", job.State)
	}
	if _, err := e.JobRetry(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	if job := e.until(job.ID); job.State != rivertype.JobStateCompleted {
		t.Errorf("state %s after %d calls: want one more attempt", job.State, calls.Load())
	}
}

func TestMaxAttempts(t *testing.T) {
	for attempts, want := range map[int]int{
		0: 3, 1: 1, 7: 7, rebound.Unlimited: math.MaxInt16, 100_000: math.MaxInt16,
	} {
		p := reboundriver.Policy{Policy: &rebound.Policy{Attempts: attempts}}
		if got := p.MaxAttempts(); got != want {
			t.Errorf("attempts %d: %d, want %d", attempts, got, want)
		}
	}
	if got := (reboundriver.Policy{}).MaxAttempts(); got != 3 {
		t.Errorf("nil: %d, want 3", got)
	}
}

func TestNextRetry(t *testing.T) {
	p := &rebound.Policy{Attempts: 3,
		Backoff: backoff.Exponential{Base: time.Second, Jitter: backoff.None()}}
	for _, c := range []struct {
		policy *rebound.Policy
		errors int
		want   time.Duration
	}{
		{p, 0, time.Second},
		{p, 1, 2 * time.Second},
		{p, 2, 4 * time.Second}, // River has attempts left that the policy has not
		{p, 5, 4 * time.Second},
		{&rebound.Policy{Attempts: -5, Backoff: p.Backoff}, 0, time.Second}, // invalid
		{&rebound.Policy{Attempts: 1, Backoff: p.Backoff}, 3, time.Second},
		{&rebound.Policy{Backoff: backoff.Constant(0)}, 0, 0},
		{&rebound.Policy{Attempts: rebound.Unlimited, Backoff: backoff.Constant(math.MaxInt64)},
			1000, math.MaxInt64},
		{&rebound.Policy{Backoff: p.Backoff, MaxElapsed: time.Hour, NonIdempotent: true,
			RetryIf: func(f fault.Fault) bool { return f.Err.Error() == "" }}, 1, 2 * time.Second},
		{&rebound.Policy{Attempts: rebound.Unlimited, Backoff: backoff.Decorrelated{
			Base: time.Second, Low: 2, High: 2}}, 3, 16 * time.Second}, // grows from the one before
	} {
		job := &rivertype.JobRow{Errors: make([]rivertype.AttemptError, c.errors)}
		before := time.Now()
		got := (reboundriver.Policy{Policy: c.policy}).NextRetry(job)
		if got.Before(before) || got.Sub(before) < c.want || got.After(time.Now().Add(c.want)) {
			t.Errorf("after %d errors: in %v, want %v", c.errors+1, got.Sub(before), c.want)
		}
	}
}
