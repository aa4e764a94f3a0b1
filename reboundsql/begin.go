package reboundsql

import (
	"context"
	"database/sql"
)

// sqlSource makes transactions of database/sql.
type sqlSource struct {
	pool
	tx *sql.TxOptions
	fn func(context.Context, *sql.Tx) error
}

func (s *sqlSource) use(ctx context.Context, t *sqlTx) error { return s.fn(ctx, t.tx) }

// begin begins a transaction that the end of ctx does not roll back behind its user's back: after
// BEGIN it lives until it is ended, and so it is known for certain who has ended it.
//
// A first BEGIN has database/sql's own retries, at most two on connections that went bad in the
// pool and one on a new connection. On a connection that was probed there are none.
func (s *sqlSource) begin(ctx context.Context) (*sqlTx, error) {
	t := &sqlTx{}
	var begin interface {
		BeginTx(context.Context, *sql.TxOptions) (*sql.Tx, error)
	} = s.db
	if s.doubt != nothingLost {
		conn, err := s.conn(ctx)
		if err != nil {
			return nil, err
		}
		t.conn, begin = conn, conn
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	t.end = end
	stop := context.AfterFunc(ctx, end)
	var err error
	t.tx, err = begin.BeginTx(life, s.tx)
	if !stop() {
		err = replaced(ctx, err)
	}
	if err != nil {
		if t.tx != nil {
			_ = t.tx.Rollback()
		}
		t.release()
		return nil, err
	}
	return t, nil
}

// sqlTx is a transaction of database/sql with the methods of a Tx. Its own context, which end
// ends, is not the attempt's: see sqlSource.begin.
type sqlTx struct {
	tx   *sql.Tx
	conn *sql.Conn // if it has one of its own
	end  context.CancelFunc
}

// Commit commits, and gives up waiting when ctx ends.
func (t *sqlTx) Commit(ctx context.Context) error { return t.bounded(ctx, (*sql.Tx).Commit) }

// Rollback rolls back; drivers that heed a transaction's context give up when ctx ends.
func (t *sqlTx) Rollback(ctx context.Context) error { return t.bounded(ctx, (*sql.Tx).Rollback) }

func (t *sqlTx) bounded(ctx context.Context, finish func(*sql.Tx) error) error {
	defer t.release()
	stop := context.AfterFunc(ctx, t.end)
	err := finish(t.tx)
	if !stop() && err != nil {
		return replaced(ctx, err)
	}
	return err
}

func (t *sqlTx) release() {
	t.end()
	if t.conn != nil {
		_ = t.conn.Close()
	}
}
