package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/outage"
	"github.com/rebound-go/rebound/cmd/rebound/batch/queue"
	"github.com/rebound-go/rebound/fault"
)

// worker sends the row of a job.
type worker struct {
	river.WorkerDefaults[rowArgs]
	s *session
}

// Work implements river.Worker. A job whose row has not ended is snoozed, so that River counts no
// errors. Attempts are counted with the row.
func (w *worker) Work(ctx context.Context, job *river.Job[rowArgs]) error {
	s := w.s
	if !s.begin(ctx) {
		return river.JobSnooze(0)
	}
	defer s.ended()
	// River may give a job to a worker that still works on it: one that was freed, or that another
	// session snoozed. To the database, both would be the same worker.
	if _, working := s.working.LoadOrStore(job.Args.Row, true); working {
		return river.JobSnooze(s.lease / 10)
	}
	defer s.working.Delete(job.Args.Row)
	var c *claim
	err := s.persist(ctx, func(ctx context.Context) (err error) {
		if c, err = s.claim(ctx, job.Args.Row); errors.Is(err, errEnded) || errors.Is(err, errHeld) ||
			err != nil && s.feeding.Err() != nil {
			return rebound.Permanent(err)
		}
		return err
	})
	switch {
	case errors.Is(err, errEnded):
		return nil
	case errors.Is(err, errHeld):
		return river.JobSnooze(s.lease / 10)
	case err != nil && s.feeding.Err() != nil:
		return river.JobSnooze(0)
	case err != nil:
		return s.broken(ctx, err)
	}
	out, held, err := s.send(c)
	if err != nil {
		s.shared.Stop(own, err.Error())
		out = c.unsent()
	}
	err = s.persist(ctx, func(ctx context.Context) (err error) {
		if out.Ended {
			err = s.finish(ctx, job, c, out)
		} else {
			err = s.release(ctx, c, out)
		}
		if errors.Is(err, errLost) {
			return rebound.Permanent(err)
		}
		return err
	})
	switch {
	case errors.Is(err, errLost):
		<-ctx.Done() // another worker has the job, so River must not complete it here
		return ctx.Err()
	case err != nil:
		return s.broken(ctx, err)
	case out.Ended:
		if s.shared.Stored(out); !held {
			s.recent.add(out)
		}
		return nil
	}
	return river.JobSnooze(out.Wait)
}

// send sends the row. If the row is in doubt and must not be sent again, it returns its error, and
// held is true.
func (s *session) send(c *claim) (out batch.Round, held bool, err error) {
	r, err := s.shared.Parse(c.line)
	if err != nil {
		return out, false, err
	}
	r.Key.ID = uint64(c.id)
	j := queue.Job{Row: r, Attempts: c.attempts, Doubt: c.state != pending, Lost: c.reserved}
	if c.attempts > 0 {
		j.History = outage.Suspect
	}
	if c.state == sent {
		if !s.shared.Redo(r) {
			return s.shared.Hold(j), true, nil
		}
		j.Again, c.again = true, true
	}
	out = s.shared.Round(context.WithValue(s.calls, claimKey{}, c), j)
	s.rest.Extend(out.Rest)
	return out, false, nil
}

// begin waits until the row may be sent: at first there is room for firstRows only. It returns
// false if no more rows may be sent.
func (s *session) begin(ctx context.Context) bool {
	if !s.rest.Wait(s.feeding) || s.feeding.Err() != nil {
		return false
	}
	select {
	case <-s.first:
		return true
	case s.early <- struct{}{}:
		return true
	case <-s.feeding.Done():
	case <-ctx.Done():
	}
	return false
}

// ended is called after a row was handled. The first time, it publishes the limits that the row has
// shown, and then allows all rows to be sent.
func (s *session) ended() {
	if s.through.CompareAndSwap(false, true) {
		ctx, cancel := context.WithTimeout(s.feeding, lastWrites)
		defer cancel()
		_ = s.pace.publish(ctx, s.shared.Limits()) // watch tries again
		close(s.first)
	}
}

// broken stops the process after a permanent failure of the database. The job is not completed:
// takeOver frees its row when the worker is gone.
func (s *session) broken(ctx context.Context, err error) error {
	if ctx.Err() == nil && s.calls.Err() == nil {
		s.shared.Stop(own, s.db.own(err).Error())
	}
	return river.JobSnooze(time.Second)
}

// isPermanent reports whether a retry cannot help against a failure of the database.
func isPermanent(err error) bool { return classify(err).Kind == fault.Permanent }
