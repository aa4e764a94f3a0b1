package reboundsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

// probeTime is how long one connection may take to show that it is alive, or to be dropped.
const probeTime = time.Second

// pool is where one call gets its connections. After a failure that casts doubt on those that
// wait in db, it looks at them before they are used, so that the attempts left are not spent on
// connections that are dead already.
type pool struct {
	db    *sql.DB
	doubt loss
}

func (p *pool) lost(l loss) { p.doubt = max(p.doubt, l) }

// replaced is the error of an operation that the end of ctx has cut short by canceling another
// context: ctx's own, unless the driver had more to say.
func replaced(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return ctx.Err()
	}
	return err
}

// conn takes a connection out of db and, after a loss, makes sure that it is a good one. It looks
// at no more connections than were waiting, and one new one.
func (p *pool) conn(ctx context.Context) (*sql.Conn, error) {
	doubt := p.doubt
	p.doubt = nothingLost
	if doubt == wrongServer {
		dropIdle(ctx, p.db)
	}
	for idle := p.db.Stats().Idle; ; idle-- {
		conn, err := p.db.Conn(ctx)
		if err != nil || doubt == nothingLost {
			return conn, err
		}
		if err = ping(ctx, conn); err == nil {
			return conn, nil
		}
		discard(conn)
		if idle <= 0 || ctx.Err() != nil {
			return nil, err
		}
	}
}

func ping(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	return conn.PingContext(ctx)
}

// discard closes a connection for good. database/sql does so with any that is said to be bad.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// dropIdle closes the connections that wait in db.
func dropIdle(ctx context.Context, db *sql.DB) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	for range db.Stats().Idle {
		conn, err := db.Conn(ctx)
		if err != nil {
			return
		}
		discard(conn)
	}
}
