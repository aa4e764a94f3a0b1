package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
)

// watch keeps the session alive. It returns nil when no row is left, or none is to be sent.
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

// round beats if it is time, and exchanges what is known.
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

// miss reports that the database does not answer, once. A failure that does not pass ends the
// process.
func (s *session) miss(err error) {
	if isPermanent(err) {
		s.shared.Stop(own, s.db.own(err).Error())
		return
	}
	if !s.away.Swap(true) {
		s.o.Notice(s.db.own(err).Error() + "; waiting for it")
	}
}

// persist is persist for rows. It reports from time to time what keeps them from being stored while
// the database answers, such as a full disk.
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

// beat records that this worker is alive, takes the rows of workers that are not, and looks whether
// rows are left.
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

// exchange gives the other workers what this one has counted and learned, and takes up the same of
// them.
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

// freeJobs frees the jobs of workers that are gone, and those that no worker has: the answer to the
// one that has asked for them was lost.
const freeJobs = `UPDATE rebound.river_job j SET state = 'available', scheduled_at = now()
	WHERE queue = $1 AND state = 'running' AND (
		NOT EXISTS (SELECT 1 FROM rebound.worker w
			WHERE w.id = j.attempted_by[array_length(j.attempted_by, 1)])
		OR attempted_at < now() - $2::interval AND NOT EXISTS (SELECT 1 FROM rebound.row r
			WHERE r.id = (j.args ->> 'row')::bigint AND holder IS NOT NULL))`

// takeOver frees what workers hold that are gone.
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

// stopAll stops the other workers. The first who does so counts.
func (s *session) stopAll(why string) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWrites)
	defer cancel()
	_, _ = s.db.pool.Exec(ctx, `UPDATE rebound.batch SET stops = stops + 1, stop_reason = $3, `+
		endRun+` WHERE name = $1 AND stops = $2`, s.batch.name, s.batch.stops, storable(why))
}

// leave takes the worker out of the database, and frees what it could not give back.
func (s *session) leave(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	_, err := s.db.pool.Exec(ctx, "DELETE FROM rebound.worker WHERE id = $1", s.id)
	if err == nil {
		_ = s.takeOver(ctx)
	}
}
