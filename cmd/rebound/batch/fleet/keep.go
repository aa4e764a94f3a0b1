package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// claim takes a row if no other live worker has it. It returns errEnded or errHeld otherwise.
func (s *session) claim(ctx context.Context, id int64) (*claim, error) {
	c := &claim{s: s, id: id}
	err := s.db.pool.QueryRow(ctx, `UPDATE rebound.row r SET holder = $2
		WHERE id = $1 AND state < 3 AND (holder IS NULL OR holder = $2
			OR NOT EXISTS (SELECT 1 FROM rebound.worker w WHERE w.id = r.holder))
		RETURNING line, state, attempts, reserved`, id, s.id).
		Scan(&c.line, &c.state, &c.attempts, &c.reserved)
	if !errors.Is(err, pgx.ErrNoRows) {
		return c, err
	}
	var open bool
	err = s.db.pool.QueryRow(ctx, "SELECT state < 3 FROM rebound.row WHERE id = $1", id).Scan(&open)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && !open:
		return nil, errEnded
	case err != nil:
		return nil, err
	}
	return nil, errHeld
}

// markRow marks a row as sent and reserves its cost. It does neither if a worker has stopped the
// batch, if another worker has the row by now, or if the budget has no room.
const markRow = `WITH r AS (
	SELECT id, reserved FROM rebound.row WHERE id = $1::bigint AND holder = $2 AND state < 3 FOR UPDATE
), b AS (
	SELECT spent, reserved FROM rebound.batch WHERE name = $3 AND stops = $4::integer
), m AS (
	UPDATE rebound.batch t SET reserved = t.reserved + $5::bigint - r.reserved FROM r
	WHERE name = $3 AND stops = $4::integer AND r.reserved <> $5::bigint
		AND ($6::bigint = 0 OR t.spent + t.reserved + $5::bigint - r.reserved <= $6::bigint)
	RETURNING 1
), u AS (
	UPDATE rebound.row t SET state = 1, reserved = $5::bigint, repeats = repeats + $7::integer FROM r
	WHERE t.id = r.id AND EXISTS (SELECT 1 FROM b)
		AND (r.reserved = $5::bigint OR EXISTS (SELECT 1 FROM m))
	RETURNING 1
)
SELECT EXISTS (SELECT 1 FROM r), EXISTS (SELECT 1 FROM b), EXISTS (SELECT 1 FROM u),
	coalesce((SELECT b.spent + $5::bigint > $6::bigint FROM b), false)`

// mark is the batch.Mark of the workers.
func (s *session) mark(ctx context.Context, c *claim, cost money.Amount) error {
	limit, repeats := money.Dollars(s.o.Budget), 0
	if c.again {
		repeats = 1
	}
	for {
		var held, running, marked, spent bool
		err := s.persist(ctx, func(ctx context.Context) error {
			return s.db.pool.QueryRow(ctx, markRow, c.id, s.id, s.batch.name, s.batch.stops, int64(cost),
				int64(limit), repeats).Scan(&held, &running, &marked, &spent)
		})
		switch {
		case err != nil:
			return err
		case marked:
			c.again = false
			return nil
		case !held, !running:
			return batch.ErrStopping
		case spent:
			s.shared.Stop(stopped, money.ErrSpent.Error())
			return money.ErrSpent
		}
		// Rows in flight may cost less than they reserve, so there may be room soon.
		select {
		case <-time.After(budgetPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// endRow stores the line of a row, and replaces its reserved cost by the actual cost.
const endRow = `WITH r AS (
	SELECT id, reserved FROM rebound.row WHERE id = $1 AND holder = $2 AND state < 3 FOR UPDATE
), paid AS (
	UPDATE rebound.batch t SET spent = t.spent + $3::bigint, reserved = t.reserved - r.reserved FROM r
	WHERE name = $4 AND ($3::bigint <> 0 OR r.reserved <> 0)
), ended AS (
	UPDATE rebound.row t SET state = $5::smallint, holder = NULL, reserved = 0,
		attempts = $6::integer FROM r
	WHERE t.id = r.id RETURNING t.id
)
INSERT INTO rebound.result (row, failed, code, why, line) SELECT id, $7, $8, $9, $10 FROM ended`

// finish stores a row's line and completes its job, in one transaction.
func (s *session) finish(
	ctx context.Context, job *river.Job[rowArgs], c *claim, out batch.Round,
) error {
	state := done
	if out.Failed {
		state = failed
	}
	return pgx.BeginFunc(ctx, s.db.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, endRow, c.id, s.id, int64(out.Cost), s.batch.name, state, out.Attempts,
			out.Failed, storable(out.Code), storable(out.Why), out.Line)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return s.lostOrStored(ctx, tx, c.id, done, failed)
		}
		_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		if errors.Is(err, rivertype.ErrNotFound) { // the job is no longer running, but the row has ended
			return nil
		}
		return err
	})
}

// lostOrStored is called if an update found no row of this worker. It returns nil if an earlier
// attempt made the update, and its answer was lost. That is so if this worker is alive, because
// then no other takes its rows. Otherwise it returns errLost: another worker may have the row.
func (s *session) lostOrStored(ctx context.Context, db queries, id int64, states ...int) error {
	var stored bool
	err := db.QueryRow(ctx, `SELECT holder IS NULL AND state = ANY($3)
		AND EXISTS (SELECT 1 FROM rebound.worker WHERE id = $2)
		FROM rebound.row WHERE id = $1`, id, s.id, states).Scan(&stored)
	if err == nil && !stored {
		err = errLost
	}
	return err
}

// release stores the state of a row that has not ended, and frees it.
func (s *session) release(ctx context.Context, c *claim, out batch.Round) error {
	state := pending
	switch {
	case out.Again, out.Doubt && !out.PutOff:
		state = sent
	case out.Doubt:
		state = putOff
	}
	tag, err := s.db.pool.Exec(ctx, `WITH r AS (
			SELECT id, reserved FROM rebound.row WHERE id = $1 AND holder = $2 AND state < 3 FOR UPDATE
		), m AS (
			UPDATE rebound.batch t SET reserved = t.reserved + $3::bigint - r.reserved FROM r
			WHERE name = $4 AND r.reserved <> $3::bigint
		)
		UPDATE rebound.row t SET state = $5::smallint, holder = NULL,
			reserved = $3::bigint, attempts = $6::integer FROM r
		WHERE t.id = r.id`, c.id, s.id, int64(out.Cost), s.batch.name, state, out.Attempts)
	if err == nil && tag.RowsAffected() == 0 {
		return s.lostOrStored(ctx, s.db.pool, c.id, pending, sent, putOff)
	}
	return err
}

// unsent returns the round of a row that was not sent. It leaves the state of the row unchanged.
func (c *claim) unsent() batch.Round {
	return batch.Round{Again: c.state == sent, Doubt: c.state != pending, PutOff: c.state == putOff,
		Attempts: c.attempts, Cost: c.reserved}
}
