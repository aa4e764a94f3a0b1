package fleet

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// run works until no row is left, the process stops, or the session is lost.
func (s *session) run(feeding, calls context.Context) error {
	calls, cut := context.WithCancel(calls)
	defer cut()
	s.feeding, s.calls = feeding, calls
	_, _ = s.round(feeding) // what the other workers know holds from the first row on
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{s: s})
	client, err := river.NewClient(riverpgxv5.New(s.db.pool), &river.Config{
		ID: s.id, Schema: schema, Workers: workers, Logger: quiet(), PollOnly: true,
		Queues:            map[string]river.QueueConfig{s.batch.name: {MaxWorkers: s.o.MaxInFlight}},
		FetchPollInterval: 100 * time.Millisecond, FetchCooldown: 50 * time.Millisecond,
		MaxAttempts: math.MaxInt16, JobTimeout: -1, RescueStuckJobsAfter: math.MaxInt64 / 4,
	})
	if err == nil {
		err = client.Start(context.WithoutCancel(calls))
	}
	if err != nil {
		s.db.Close()
		return s.db.own(err)
	}
	err = s.watch(feeding)
	if errors.Is(err, errLost) {
		// Nothing of this session may be written any more: River would end jobs that others have.
		cut()
		go s.db.Close()
		end(0, client.StopAndCancel)
		return err
	}
	if code, why := s.shared.Stopped(); code == stopped {
		s.stopAll(why)
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-calls.Done(): // the rows that were cut off are stored meanwhile
			end(lastWrites, client.StopAndCancel)
		case <-ended:
		}
	}()
	_ = client.Stop(context.Background())
	close(ended)
	s.leave()
	s.db.Close()
	return err
}

// end calls an ending of River's after a time, and gives it as much.
func end(after time.Duration, stop func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	<-ctx.Done()
	ctx, cancel = context.WithTimeout(context.Background(), lastWrites)
	defer cancel()
	_ = stop(ctx)
}
