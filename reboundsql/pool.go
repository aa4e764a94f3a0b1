package reboundsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"
)

// probeTime bounds the probe of all pooled connections together, their closing, and the probe of a
// new connection.
const probeTime = time.Second

// pool provides one call with connections. After a failure that may have broken other connections
// of db, it probes connections before they are used, so that attempts are not spent on dead ones.
// One call uses it, so it needs no lock.
type pool struct {
	db    *sql.DB
	doubt loss
}

// lost records what a failure shows about the connections in db. Those to a server that became
// read-only are closed at once, because this call may have no further attempt.
func (p *pool) lost(l loss) {
	p.doubt = max(p.doubt, l)
	if l == wrongServer {
		dropIdle(context.Background(), p.db)
	}
}

// replaced returns the error of an operation whose own context was canceled because ctx ended:
// ctx's error, unless the driver returned a more specific one.
func replaced(ctx context.Context, err error) error {
	if err == nil || is(err, context.Canceled) {
		return ctx.Err()
	}
	return err
}

// conn takes a connection from db. After a loss it makes sure that the connection works. It probes
// at most the connections that were idle, and one new one.
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

// waiting returns the first idle connection of db that works, or nil. All probes together have
// probeTime: if one connection does not answer for that long, the others are unlikely to answer.
func waiting(ctx context.Context, db *sql.DB) *sql.Conn {
	probe, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	for range db.Stats().Idle {
		conn, err := db.Conn(probe)
		if err != nil {
			return nil // another call took the last one, and a new one failed
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

// alive returns conn if it answers before ctx ends, and otherwise discards it.
func alive(ctx context.Context, conn *sql.Conn) (*sql.Conn, error) {
	if err := conn.PingContext(ctx); err != nil {
		discard(conn)
		return nil, err
	}
	return conn, nil
}

// discard closes a connection for good. database/sql closes a connection whose driver returns
// ErrBadConn.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// dropIdle closes the idle connections of db, all at the same time, because closing one may block
// while its server does not answer.
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
