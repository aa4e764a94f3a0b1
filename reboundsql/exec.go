package reboundsql

import (
	"context"
	"database/sql"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// Exec executes one statement that changes something and returns no rows, outside of a transaction,
// until it succeeds or p stops the call. Like a COMMIT, a statement that failed on the wire may
// have been carried out: it is not retried, and the error matches [ErrOutcomeUnknown]. A statement
// that was certainly not carried out is retried, on another connection if the first one broke.
//
// Each attempt sends the statement at most once: the retries of database/sql, which trust drivers
// to have sent nothing, are not in play. Of o, Exec uses Idempotent alone; nil = defaults.
func Exec(
	ctx context.Context, db *sql.DB, p *rebound.Policy, o *Options, query string, args ...any,
) (sql.Result, error) {
	return exec(ctx, db, p, o != nil && o.Idempotent, query, args)
}

// ExecIdempotent is [Exec] for a statement that may be carried out twice without harm, such as one
// that sets a column to a fixed value. It is retried even if its outcome is unknown.
func ExecIdempotent(
	ctx context.Context, db *sql.DB, p *rebound.Policy, _ *Options, query string, args ...any,
) (sql.Result, error) {
	return exec(ctx, db, p, true, query, args)
}

func exec(
	ctx context.Context, db *sql.DB, p *rebound.Policy, idempotent bool, query string, args []any,
) (sql.Result, error) {
	run := func(ctx context.Context, conn *sql.Conn) (sql.Result, error) {
		return conn.ExecContext(ctx, query, args...)
	}
	s := &statement[sql.Result]{
		pool: pool{db: db}, run: run, writes: true, repeatable: idempotent,
	}
	return s.do(ctx, p)
}

// Query runs one statement that only reads, until all of its rows have been read or p stops the
// call, and returns what scan made of each row; nil if there was none. A connection that breaks in
// the middle of the rows has the whole query retried, so no row is ever there twice. scan must not
// move to the next row. What a failed query returns beside its error has no meaning. Query has no
// use for o.
//
// A statement that changes something and returns rows belongs into [InTx].
func Query[T any](
	ctx context.Context, db *sql.DB, p *rebound.Policy, _ *Options,
	scan func(*sql.Rows) (T, error), query string, args ...any,
) ([]T, error) {
	read := func(ctx context.Context, conn *sql.Conn) (all []T, err error) {
		rows, err := conn.QueryContext(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			v, err := scan(rows)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, rows.Err()
	}
	s := &statement[[]T]{pool: pool{db: db}, run: read, repeatable: true}
	return s.do(ctx, p)
}

// statement is one call of a single statement.
type statement[T any] struct {
	pool       pool
	run        func(context.Context, *sql.Conn) (T, error)
	writes     bool // it changes something
	repeatable bool // it may be carried out twice
	policy     *rebound.Policy
	doubt      bool // an attempt failed that may have been carried out
}

func (s *statement[T]) do(ctx context.Context, p *rebound.Policy) (T, error) {
	if p == nil {
		p = &shared
	}
	s.policy = p
	return rebound.Do(ctx, informed(p), s.attempt)
}

func (s *statement[T]) attempt(ctx context.Context) (v T, err error) {
	if s.writes {
		s.pool.lost(maybeIdle) // or each connection that went stale would be a doubt
	}
	conn, err := s.pool.conn(ctx)
	if err == nil && ctx.Err() != nil {
		_, err = conn.Close(), ctx.Err()
	}
	if err != nil {
		return v, s.failed(err)
	}
	defer conn.Close()
	v, err = s.run(ctx, conn)
	if err != nil && isReadOnly(err) {
		discard(conn)
	}
	switch {
	case err == nil:
		return v, nil
	case !s.writes || !uncertain(s.policy, err, true):
		return v, s.failed(err)
	case !s.repeatable:
		return v, rebound.Permanent(doubtful(err, fault.Transient))
	}
	s.doubt = true
	return v, s.failed(err)
}

// failed is the attempt's error, err, with what this package knows about its meaning.
func (s *statement[T]) failed(err error) error {
	s.pool.lost(lossOf(err))
	if isReadOnly(err) {
		err = annotate(err, annotated{kind: fault.Transient})
	}
	switch {
	case s.doubt:
		return doubtful(err, fault.Of(err).Kind)
	case s.policy.NonIdempotent:
		return undone(err)
	}
	return err
}
