package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
)

// watch keeps the session alive. It returns nil when no row is left, or no more rows may be sent.
func (s *session) watch(feeding context.Context) error {
	ticker := time.NewTicker(min(exchanges, s.lease/10))
	defer ticker.Stop()
	for {
		left, err := s.round(feeding)
		switch {
		case errors.Is(err, errLost):
			return err
		case feeding.Err() != nil:
			return nil
		case err != nil:
			s.miss(err)
		case !left:
			return nil
		default:
			s.away.Store(false)
		}
		select {
		case <-feeding.Done():
			return nil
		case <-s.recent.wake:
		case <-ticker.C:
		}
	}
}

// round sends a heartbeat if one is due, and exchanges counts and limits with the other workers.
func (s *session) round(feeding context.Context) (left bool, err error) {
	ctx, cancel := context.WithTimeout(feeding, s.lease/4)
	defer cancel()
	left = true
	if time.Since(s.beaten) >= min(longestBeat, s.lease/10) {
		if left, err = s.beat(ctx); err != nil {
			return true, err
		}
		s.beaten = time.Now()
	}
	return left, s.exchange(ctx)
}

// miss handles an error of the database. It stops the process if the error is permanent. Otherwise
// it reports that the database is away, once.
func (s *session) miss(err error) {
	if isPermanent(err) {
		s.shared.Stop(own, s.db.own(err).Error())
		return
	}
	if !s.away.Swap(true) {
		s.o.Notice(s.db.own(err).Error() + "; waiting for the database")
	}
}

// persist is the function persist, with reports. If fn fails for long although the database
// answers, for example because a disk is full, it reports the error from time to time.
func (s *session) persist(ctx context.Context, fn func(context.Context) error) error {
	began := time.Now()
	return persist(ctx, func(ctx context.Context) error {
		err := fn(ctx)
		if err == nil || isPermanent(err) || s.away.Load() || time.Since(began) < reportAfter {
			return err
		}
		last, now := s.reported.Load(), time.Now().UnixNano()
		if now-last > int64(reportEvery) && s.reported.CompareAndSwap(last, now) {
			s.o.Notice(s.db.own(err).Error() + "; trying again")
		}
		return err
	})
}

// beat sends a heartbeat, frees the rows of workers that are gone, and returns whether rows are
// left.
func (s *session) beat(ctx context.Context) (left bool, err error) {
	tag, err := s.db.quick.Exec(ctx, "UPDATE rebound.worker SET seen = now() WHERE id = $1", s.id)
	if err != nil {
		return true, err
	}
	if tag.RowsAffected() == 0 {
		return true, errLost
	}
	if time.Since(s.looked) >= s.lease/10 {
		if err := s.takeOver(ctx); err != nil {
			return true, err
		}
		s.looked = time.Now()
	}
	err = s.db.quick.QueryRow(ctx,
		"SELECT EXISTS (SELECT 1 FROM rebound.row WHERE batch = $1 AND state < 3)", s.batch.name).
		Scan(&left)
	return left, err
}

// exchange publishes the counts and limits of this worker, and reads those of all workers.
func (s *session) exchange(ctx context.Context) error {
	if err := s.recent.publish(ctx, s.db, s.batch); err != nil {
		return err
	}
	if err := s.pace.publish(ctx, s.shared.Limits()); err != nil {
		return err
	}
	found, err := s.db.quick.Query(ctx, lookAround, s.batch.name)
	if err != nil {
		return err
	}
	var stops int
	var reason, name string
	var run batch.Ended
	var learned rates
	var rest float64
	_, err = pgx.ForEachRow(found, []any{&stops, &reason,
		&run.Rows, &run.Failed, &run.Alike, &run.Code, &run.Why,
		&name, &learned.requests, &learned.tokens, &rest}, func() error {
		s.pace.takeUp(name, learned, time.Duration(rest*float64(time.Second)))
		return nil
	})
	switch {
	case err != nil:
		return err
	case stops != s.batch.stops:
		s.shared.Stop(stopped, reason)
	default:
		s.shared.Judge(run)
	}
	return nil
}

// freeJobs frees the jobs of workers that are gone. It also frees a running job whose row no worker
// has claimed within a lease. Such a job was fetched, but the answer was lost.
const freeJobs = `UPDATE rebound.river_job j SET state = 'available', scheduled_at = now()
	WHERE queue = $1 AND state = 'running' AND (
		NOT EXISTS (SELECT 1 FROM rebound.worker w
			WHERE w.id = j.attempted_by[array_length(j.attempted_by, 1)])
		OR attempted_at < now() - $2::interval AND NOT EXISTS (SELECT 1 FROM rebound.row r
			WHERE r.id = (j.args ->> 'row')::bigint AND holder IS NOT NULL))`

// takeOver frees the rows and jobs of workers that are gone.
func (s *session) takeOver(ctx context.Context) error {
	return pgx.BeginFunc(ctx, s.db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM rebound.worker WHERE batch = $1 AND "+isGone,
			s.batch.name); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE rebound.row r SET holder = NULL WHERE batch = $1
			AND holder IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM rebound.worker w WHERE w.id = r.holder)`,
			s.batch.name); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, freeJobs, s.batch.name, s.lease)
		return err
	})
}

// stopAll stops the other workers. Only the first call of a run has an effect.
func (s *session) stopAll(why string) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWrites)
	defer cancel()
	_, _ = s.db.pool.Exec(ctx, `UPDATE rebound.batch SET stops = stops + 1, stop_reason = $3, `+
		endRun+` WHERE name = $1 AND stops = $2`, s.batch.name, s.batch.stops, storable(why))
}

// leave deletes the worker from the database, and frees the rows that it still holds. It gives up
// after d.
func (s *session) leave(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	_, err := s.db.pool.Exec(ctx, "DELETE FROM rebound.worker WHERE id = $1", s.id)
	if err == nil {
		_ = s.takeOver(ctx)
	}
}
