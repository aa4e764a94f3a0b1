package reboundsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"
)

// probeTime is how long the connections that wait may take to show that they are alive, or to be
// dropped, and how long a new one may.
const probeTime = time.Second

// pool is where one call gets its connections. After a failure that casts doubt on those that
// wait in db, it looks at them before they are used, so that the attempts left are not spent on
// connections that are dead already.
type pool struct {
	db    *sql.DB
	doubt loss
}

// lost records what a failure shows of the connections in db. Those to a server that became
// read-only are closed at once, since this call may have no further attempt.
func (p *pool) lost(l loss) {
	p.doubt = max(p.doubt, l)
	if l == wrongServer {
		dropIdle(context.Background(), p.db)
	}
}

// replaced is the error of an operation that the end of ctx has cut short by canceling another
// context: ctx's own, unless the driver returned something else.
func replaced(ctx context.Context, err error) error {
	if err == nil || is(err, context.Canceled) {
		return ctx.Err()
	}
	return err
}

// conn takes a connection out of db and, after a loss, makes sure that it is a good one. It looks
// at no more connections than were waiting, and one new one.
func (p *pool) conn(ctx context.Context) (*sql.Conn, error) {
	doubt := p.doubt
	p.doubt = nothingLost
	switch doubt {
	case nothingLost:
		return p.db.Conn(ctx)
	case wrongServer:
		dropIdle(ctx, p.db)
	}
	if conn := waiting(ctx, p.db); conn != nil {
		return conn, nil
	}
	conn, err := p.db.Conn(ctx)
	if err != nil || doubt == maybeIdle {
		return conn, err
	}
	probe, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	return alive(probe, conn)
}

// waiting returns the first connection that waits in db and is alive, or nil. All of them together
// have the time of one probe: if one does not answer for that long, the others are not worth more.
func waiting(ctx context.Context, db *sql.DB) *sql.Conn {
	probe, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	for range db.Stats().Idle {
		conn, err := db.Conn(probe)
		if err != nil {
			return nil // another call took the last one, and a new one could not be had
		}
		if conn, err = alive(probe, conn); err == nil {
			return conn
		}
		if probe.Err() != nil {
			dropIdle(ctx, db)
			return nil
		}
	}
	return nil
}

// alive returns conn if it answers before ctx ends, and else discards it.
func alive(ctx context.Context, conn *sql.Conn) (*sql.Conn, error) {
	if err := conn.PingContext(ctx); err != nil {
		discard(conn)
		return nil, err
	}
	return conn, nil
}

// discard closes a connection for good. database/sql does so with any that is said to be bad.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// dropIdle closes the connections that wait in db, all at the same time: a driver may want a last
// word from a server that is gone.
func dropIdle(ctx context.Context, db *sql.DB) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	idle := db.Stats().Idle
	closed := make(chan struct{}, idle)
	taken := 0
	for range idle {
		conn, err := db.Conn(ctx)
		if err != nil {
			break
		}
		taken++
		go func() {
			discard(conn)
			closed <- struct{}{}
		}()
	}
	for range taken {
		select {
		case <-closed:
		case <-ctx.Done():
			return
		}
	}
}
