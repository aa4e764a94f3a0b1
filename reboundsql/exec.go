package reboundsql

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/rebound-go/rebound"
)

// Exec executes one statement that changes something and returns no rows, outside a transaction. It
// retries until the statement succeeds or p ends the call. A nil p or o means the defaults.
//
// If the connection fails, the statement may have been carried out, as with a COMMIT. Then Exec
// does not retry, and the error matches [ErrOutcomeUnknown], unless o has Applied or Idempotent. A
// statement that was certainly not carried out is retried, on another connection if the first one
// broke.
//
// Each attempt sends the statement at most once. It does not use the retries of database/sql, which
// repeat a statement if the driver claims that nothing was sent. A pooled connection is pinged
// first. Exec ignores o's Tx. If Applied finds the effect of the statement, the methods of the
// result return errors, because the counts are lost.
func Exec(
	ctx context.Context, db *sql.DB, p *rebound.Policy, o *Options, query string, args ...any,
) (sql.Result, error) {
	return exec(ctx, db, p, *o.orDefault(), query, args)
}

// ExecIdempotent is [Exec] for a statement that does no harm if it is carried out twice, such as
// one that sets a column to a fixed value. The statement is retried even if its outcome is unknown.
func ExecIdempotent(
	ctx context.Context, db *sql.DB, p *rebound.Policy, o *Options, query string, args ...any,
) (sql.Result, error) {
	opts := *o.orDefault()
	opts.Idempotent = true
	return exec(ctx, db, p, opts, query, args)
}

func exec(
	ctx context.Context, db *sql.DB, p *rebound.Policy, o Options, query string, args []any,
) (sql.Result, error) {
	o.Tx = nil
	s := &statement[sql.Result]{
		pool:   pool{db: db},
		writes: true,
		run: func(ctx context.Context, conn *sql.Conn) (sql.Result, error) {
			return conn.ExecContext(ctx, query, args...)
		},
	}
	err := s.call(ctx, p, &o)
	if err == nil && s.value == nil { // the answer was lost, and Applied found the effect
		return driver.ResultNoRows, nil
	}
	return s.value, err
}

// statement is a source of transactions whose COMMIT is the statement itself. So the rules for a
// COMMIT in doubt apply to the statement.
type statement[T any] struct {
	pool
	run    func(context.Context, *sql.Conn) (T, error)
	writes bool // it may change something
	value  T    // of the last run
}

func (s *statement[T]) call(ctx context.Context, p *rebound.Policy, o *Options) error {
	return run(ctx, p, &work[*statementTx[T]]{source: s, opts: o})
}

func (s *statement[T]) begin(ctx context.Context) (*statementTx[T], error) {
	if s.writes {
		// Without a ping, each stale connection of the pool would leave the outcome unknown.
		s.lost(maybeIdle)
	}
	conn, err := s.conn(ctx)
	return &statementTx[T]{statement: s, conn: conn}, err
}

func (s *statement[T]) use(context.Context, *statementTx[T]) error { return nil }

func (s *statement[T]) uncertain(p *rebound.Policy, err error) bool {
	return s.writes && uncertain(p, err, true)
}

// statementTx is a connection for one statement.
type statementTx[T any] struct {
	statement *statement[T]
	conn      *sql.Conn
}

// Commit runs the statement.
func (t *statementTx[T]) Commit(ctx context.Context) (err error) {
	defer t.conn.Close()
	t.statement.value, err = t.statement.run(ctx, t.conn)
	if err != nil && isReadOnly(err) {
		discard(t.conn)
	}
	return err
}

// Rollback releases the connection. There is nothing to roll back.
func (t *statementTx[T]) Rollback(context.Context) error {
	_ = t.conn.Close()
	return nil
}
