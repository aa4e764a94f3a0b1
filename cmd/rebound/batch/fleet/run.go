package fleet

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/rebound-go/rebound/internal/clock"
)

// run works until no row is left, the process stops, or the session is lost. In the last case it
// returns errLost.
func (s *session) run(feeding, calls context.Context) error {
	calls, cut := context.WithCancel(calls)
	defer cut()
	s.feeding, s.calls = feeding, calls
	_, _ = s.round(feeding) // the limits of the other workers must hold from the first row on
	jobs, stopJobs := context.WithCancel(context.WithoutCancel(calls))
	defer stopJobs()
	client, err := s.startRiver(feeding, jobs, stopJobs)
	if err != nil {
		s.leave(lastLook)
		s.db.Close()
		if feeding.Err() != nil {
			return nil
		}
		return s.db.own(err)
	}
	err = s.watch(feeding)
	if errors.Is(err, errLost) {
		// This session must write nothing more: River would complete jobs that others now have.
		cut()
		stopJobs()
		s.db.Close()
		ctx, cancel := context.WithTimeout(context.Background(), lastWrites)
		defer cancel()
		_ = client.Stop(ctx)
		return err
	}
	if code, why := s.shared.Stopped(); code == stopped {
		s.stopAll(why)
	}
	over, give := context.WithCancel(context.Background())
	defer give()
	defer context.AfterFunc(calls, func() { // meanwhile, rows that were cut off are stored
		_ = clock.Sleep(over, lastWrites)
		stopJobs()
		_ = clock.Sleep(over, lastLook)
		give()
	})()
	_ = client.Stop(over)
	if over.Err() != nil {
		s.leave(lastLook)
	} else {
		s.leave(lastWrites)
	}
	s.db.Close()
	return err
}

// startRiver starts to work on the jobs when the database answers. River's first queries use the
// context jobs. The database may never answer, so stopJobs ends these queries when feeding ends.
func (s *session) startRiver(
	feeding, jobs context.Context, stopJobs func(),
) (client *river.Client[pgx.Tx], err error) {
	defer context.AfterFunc(feeding, stopJobs)()
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{s: s})
	err = persist(feeding, func(context.Context) error {
		client, err = river.NewClient(riverpgxv5.New(s.db.pool), &river.Config{
			ID: s.id, Schema: schema, Workers: workers, Logger: quiet(), PollOnly: true,
			Queues:            map[string]river.QueueConfig{s.batch.name: {MaxWorkers: s.o.MaxInFlight}},
			FetchPollInterval: 100 * time.Millisecond, FetchCooldown: 50 * time.Millisecond,
			MaxAttempts: math.MaxInt16, JobTimeout: -1, RescueStuckJobsAfter: math.MaxInt64 / 4,
		})
		if err == nil {
			err = client.Start(jobs)
		}
		return err
	})
	return client, err
}
