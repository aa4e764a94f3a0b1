package reboundriver

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rebound-go/rebound"
)

// Middleware runs each job as one attempt under the policy: behind its gates and its breaker,
// within its AttemptTimeout, with its events. The policy decides what follows a failure:
//
//   - A permanent failure, and one after the policy's last attempt, cancels the job. The error that
//     River stores is a [rebound.Error].
//   - A Retry-After delay snoozes the job. So does a breaker or a limit that rejects the attempt.
//     A snooze uses no attempt, and leaves no error in the row.
//   - Any other failure is retried after the policy's delay, which [Policy] gives to River.
//
// An error of river.JobCancel or river.JobSnooze, and the error of a job that is canceled or whose
// client stops, is returned as it is. The policy's budget is not charged: the queue keeps its jobs.
//
// The zero Middleware is ready: its policy is the zero rebound.Policy.
type Middleware struct {
	river.MiddlewareDefaults
	Policy *rebound.Policy // nil = the zero rebound.Policy
}

var _ rivertype.WorkerMiddleware = (*Middleware)(nil)

// Work implements rivertype.WorkerMiddleware.
func (m *Middleware) Work(
	ctx context.Context, job *rivertype.JobRow, next func(context.Context) error,
) error {
	l := rebound.Resume(ctx, m.Policy, before(m.Policy, job))
	_, err := rebound.Try(&l, func(attempt context.Context) (struct{}, error) {
		return struct{}{}, next(attempt)
	})
	switch {
	case err == nil:
		l.Succeed()
		return nil
	case errors.Is(ctx.Err(), context.Canceled), rivers(err):
		return err
	}
	return m.decide(&l, job, err)
}

// rivers reports whether err is a decision that Work has made itself.
func rivers(err error) bool {
	return errors.As(err, new(*rivertype.JobCancelError)) ||
		errors.As(err, new(*rivertype.JobSnoozeError))
}

// decide returns the error that makes River do what the policy decides.
func (m *Middleware) decide(l *rebound.Loop, job *rivertype.JobRow, err error) error {
	d := l.Decide(err)
	asked := l.Fault().After
	switch {
	case d.Reason == rebound.Rejected:
		return river.JobSnooze(d.Delay)
	case d.Reason == rebound.Exhausted && asked > 0: // this attempt does not count
		d = rebound.Decision{Retry: true, Delay: asked + rand.N(asked/4+1)}
	case !d.Retry, asked <= 0 && job.Attempt >= job.MaxAttempts:
		return stopped(l, job, d.Reason)
	}
	l.Announce(d.Delay)
	if asked > 0 {
		return river.JobSnooze(d.Delay)
	}
	decide(job, d.Delay)
	return err
}

// stopped returns the error of a job that is not retried. River discards a job by itself after its
// last attempt. It goes on with one whose policy is invalid, or whose time was up in a gate, since
// the job is not at fault.
func stopped(l *rebound.Loop, job *rivertype.JobRow, why rebound.Reason) error {
	if why == "" {
		why = rebound.Exhausted
	}
	err := l.Stop(why, nil)
	switch why {
	case rebound.Exhausted:
		if job.Attempt >= job.MaxAttempts {
			return err
		}
	case rebound.Invalid, rebound.Canceled, rebound.PastDeadline:
		return err
	}
	return river.JobCancel(err)
}

// before is where a job stands before an attempt. A job that is retried by hand after its last
// attempt gets one more.
func before(p *rebound.Policy, job *rivertype.JobRow) rebound.State {
	s := rebound.State{Attempt: len(job.Errors), Durable: true}
	if limit := p.MaxAttempts(); limit > 0 {
		s.Attempt = min(s.Attempt, limit-1)
	}
	if s.Attempt > 0 {
		s.Elapsed = max(time.Since(job.Errors[0].At), 0)
	}
	return s
}
