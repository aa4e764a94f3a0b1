package reboundsql

import (
	"context"
	"database/sql"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
)

// sqlSource makes transactions of database/sql.
type sqlSource struct {
	pool
	tx *sql.TxOptions
	fn func(context.Context, *sql.Tx) error
}

func (s *sqlSource) use(ctx context.Context, t *sqlTx) error {
	t.inside.Context = ctx
	return s.fn(&t.inside, t.tx)
}

func (s *sqlSource) uncertain(p *rebound.Policy, err error) bool { return uncertain(p, err, false) }

// begin begins a transaction that the end of ctx does not roll back. With ctx itself, database/sql
// could roll back at any time, and it would be unknown whether the rollback or a COMMIT came first.
//
// On a bad connection, database/sql itself repeats the first BEGIN: it tries two pooled connections
// at most, and then a new one. It does not repeat a BEGIN on a connection that was probed.
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
	t.live(ctx)
	var err error
	t.tx, err = begin.BeginTx(t.life, s.tx)
	// BEGIN is over. From here on only Commit and Rollback may end the transaction's context.
	t.bound.Store(false)
	if ctx.Err() != nil {
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

// sqlTx makes a transaction of database/sql a Tx.
type sqlTx struct {
	tx     *sql.Tx
	conn   *sql.Conn // if the transaction took it from the pool
	inside inside    // the context of the function in it

	life  context.Context // the transaction's own context
	late  lateContext     // life, if the attempt's context never ends
	end   func()          // ends life; nil if life is late
	stop  func() bool     // unties life from the attempt's context
	bound atomic.Bool     // the end of the attempt's context ends life now
}

// live gives the transaction its own context. While BEGIN runs, that context ends with ctx.
func (t *sqlTx) live(ctx context.Context) {
	if ctx.Done() == nil {
		t.late.Context = ctx
		t.life = &t.late
		return
	}
	t.life, t.end = context.WithCancel(context.WithoutCancel(ctx))
	t.bound.Store(true)
	t.stop = context.AfterFunc(ctx, func() {
		if t.bound.Load() {
			t.end()
		}
	})
}

// Commit stops waiting when ctx, the attempt's context, ends.
func (t *sqlTx) Commit(ctx context.Context) error {
	defer t.release()
	t.bound.Store(true)
	if ctx.Err() != nil && t.end != nil {
		t.end() // it may have ended before bound was set
	}
	err := t.tx.Commit()
	if err != nil && ctx.Err() != nil {
		return replaced(ctx, err)
	}
	return err
}

// Rollback rolls back. Drivers that watch a transaction's context stop waiting when ctx ends.
func (t *sqlTx) Rollback(ctx context.Context) error {
	defer t.release()
	if t.end == nil {
		t.late.bound.Store(&ctx)
		return t.tx.Rollback()
	}
	stop := context.AfterFunc(ctx, t.end)
	err := t.tx.Rollback()
	if !stop() && err != nil {
		return replaced(ctx, err)
	}
	return err
}

// release ends the transaction's context and returns its connection to the pool. A context that is
// not ended would leak until the caller's context ends.
func (t *sqlTx) release() {
	if t.end != nil {
		t.stop()
		t.end()
	}
	if t.conn != nil {
		_ = t.conn.Close()
	}
}

// lateContext is the context of a transaction whose attempt's context never ends. It never ends
// either, unless a ROLLBACK gives it a context that may end. A context that can be canceled from
// the start would work too, but drivers watch such a context. On SQLite in memory, that costs 13
// allocations and a fifth of the transaction's time.
type lateContext struct {
	context.Context
	bound atomic.Pointer[context.Context]
}

func (c *lateContext) current() context.Context {
	if ctx := c.bound.Load(); ctx != nil {
		return *ctx
	}
	return c.Context
}

// Deadline, Done and Err are those of the ROLLBACK's context, once it has begun.
func (c *lateContext) Deadline() (time.Time, bool) { return c.current().Deadline() }
func (c *lateContext) Done() <-chan struct{}       { return c.current().Done() }
func (c *lateContext) Err() error                  { return c.current().Err() }
