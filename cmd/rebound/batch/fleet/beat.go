package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// watch keeps the session alive. It returns nil when no row is left, or none is to be sent.
func (s *session) watch(feeding context.Context) error {
	ticker := time.NewTicker(min(longestBeat, s.lease/10))
	defer ticker.Stop()
	var looked time.Time
	for {
		look := time.Since(looked) >= s.lease/10
		left, err := s.beat(look)
		switch {
		case errors.Is(err, errLost):
			return err
		case err != nil:
			s.miss(err)
		case !left:
			return nil
		default:
			s.away = false
			if look {
				looked = time.Now()
			}
		}
		select {
		case <-feeding.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// miss reports that the database does not answer, once. A failure that does not pass ends the
// process.
func (s *session) miss(err error) {
	if isPermanent(err) {
		s.shared.Stop(own, s.db.own(err).Error())
		return
	}
	if !s.away {
		s.o.Notice(s.db.own(err).Error() + "; waiting for it")
	}
	s.away = true
}

// beat records that this worker is alive, and takes the rows of workers that are not.
func (s *session) beat(look bool) (left bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.lease/4)
	defer cancel()
	tag, err := s.db.quick.Exec(ctx, "UPDATE rebound.worker SET seen = now() WHERE id = $1", s.id)
	if err != nil {
		return true, err
	}
	if tag.RowsAffected() == 0 {
		return true, errLost
	}
	if look {
		if err := s.takeOver(ctx); err != nil {
			return true, err
		}
	}
	var stops int
	var reason string
	err = s.db.quick.QueryRow(ctx, `SELECT stops, stop_reason,
		EXISTS (SELECT 1 FROM rebound.row WHERE batch = $1 AND state < 3)
		FROM rebound.batch WHERE name = $1`, s.batch.name).Scan(&stops, &reason, &left)
	if err == nil && stops != s.batch.stops {
		s.shared.Stop(stopped, reason)
	}
	return left, err
}

// takeOver frees what workers hold that are gone. After a restart of the server it waits, because
// no worker could beat meanwhile.
func (s *session) takeOver(ctx context.Context) error {
	return pgx.BeginFunc(ctx, s.db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM rebound.worker WHERE batch = $1
			AND greatest(seen, pg_postmaster_start_time()) < now() - $2::interval`, s.batch.name,
			s.lease); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE rebound.row r SET holder = NULL WHERE batch = $1
			AND holder IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM rebound.worker w WHERE w.id = r.holder)`,
			s.batch.name); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE rebound.river_job j SET state = 'available', scheduled_at = now()
			WHERE queue = $1 AND state = 'running' AND NOT EXISTS (SELECT 1 FROM rebound.worker w
				WHERE w.id = j.attempted_by[array_length(j.attempted_by, 1)])`, s.batch.name)
		return err
	})
}

// stopAll stops the other workers. The first who does so counts.
func (s *session) stopAll(why string) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWrites)
	defer cancel()
	_, _ = s.db.pool.Exec(ctx, `UPDATE rebound.batch SET stops = stops + 1, stop_reason = $3
		WHERE name = $1 AND stops = $2`, s.batch.name, s.batch.stops, storable(why))
}

// leave takes the worker out of the database, and frees what it could not give back.
func (s *session) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWrites)
	defer cancel()
	_, err := s.db.pool.Exec(ctx, "DELETE FROM rebound.worker WHERE id = $1", s.id)
	if err == nil {
		_ = s.takeOver(ctx)
	}
}
