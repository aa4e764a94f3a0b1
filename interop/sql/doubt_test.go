//go:build linux

package sql_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/internal/daemon"
	"github.com/rebound-go/rebound/reboundsql"
)

// execer executes a statement in a transaction of any driver.
type execer func(context.Context, string) error

// client is a way to run transactions: InTx with a driver, or InTxOf with a pool of pgx.
type client struct {
	name string
	run  func(context.Context, reboundsql.Options, *rebound.Policy,
		func(context.Context, execer) error) error
	exec   execer  // one statement on one connection, without reboundsql
	direct *sql.DB // past the wire, for checks
	db     *sql.DB // over the wire; nil for a pool of pgx
}

// driver is the name of a client's driver without the wrapper around it.
func (c *client) driver() string { return strings.TrimPrefix(c.name, "traced-") }

func overSQL(t testing.TB, driver, dsn string, direct *sql.DB) *client {
	db := open(t, driver, dsn)
	db.SetMaxIdleConns(16)
	exec := func(ctx context.Context, query string) error {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.ExecContext(ctx, query)
		return err
	}
	return &client{driver, func(ctx context.Context, o reboundsql.Options, p *rebound.Policy,
		fn func(context.Context, execer) error) error {
		return reboundsql.InTx(ctx, db, p, &o, func(ctx context.Context, tx *sql.Tx) error {
			return fn(ctx, func(ctx context.Context, query string) error {
				_, err := tx.ExecContext(ctx, query)
				return err
			})
		})
	}, exec, direct, db}
}

// inUse is how many connections of a pool are in use, after broken ones were closed, which pgx does
// in the background.
func inUse(pool *pgxpool.Pool) int32 {
	for range 500 {
		if pool.Stat().AcquiredConns() == 0 {
			return 0
		}
		pause(20 * time.Millisecond)
	}
	return pool.Stat().AcquiredConns()
}

func overPgx(t testing.TB, dsn string, direct *sql.DB) *client {
	pool, err := pgxpool.New(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := inUse(pool); n != 0 {
			t.Errorf("pgxpool: %d connections in use at the end, want 0", n)
		}
		pool.Close()
	})
	exec := func(ctx context.Context, query string) error {
		_, err := pool.Exec(ctx, query)
		return err
	}
	return &client{"pgxpool", func(ctx context.Context, o reboundsql.Options, p *rebound.Policy,
		fn func(context.Context, execer) error) error {
		o.Reset = pool.Reset
		begin := func(ctx context.Context) (pgx.Tx, error) {
			return pool.BeginTx(ctx, pgxOptions(o.Tx))
		}
		return reboundsql.InTxOf(ctx, begin, p, &o, func(ctx context.Context, tx pgx.Tx) error {
			return fn(ctx, func(ctx context.Context, query string) error {
				_, err := tx.Exec(ctx, query)
				return err
			})
		})
	}, exec, direct, nil}
}

func pgxOptions(o *sql.TxOptions) (p pgx.TxOptions) {
	if o != nil && o.Isolation == sql.LevelSerializable {
		p.IsoLevel = pgx.Serializable
	}
	return p
}

// clients runs a test with every way to reach a server over a wire that can be broken.
func clients(t *testing.T, test func(*testing.T, *client, *wire)) {
	t.Run("postgres", func(t *testing.T) {
		d := startPostgres(t)
		w := newWire(t, d)
		direct := open(t, "pgx", daemon.PostgresURL(d.Addr()))
		dsn := daemon.PostgresURL(w.addr())
		for _, c := range []*client{
			overSQL(t, "pgx", dsn, direct), overSQL(t, "postgres", dsn, direct),
			overSQL(t, "traced-pgx", dsn, direct), overSQL(t, "traced-postgres", dsn, direct),
			overPgx(t, dsn, direct),
		} {
			t.Run(c.name, func(t *testing.T) { test(t, c, w) })
		}
	})
	t.Run("mariadb", func(t *testing.T) {
		d := startMariaDB(t)
		w := newWire(t, d)
		direct := open(t, "mysql", d.mysql(d.Addr()))
		// This driver does not watch a context while it commits, so it needs its own timeout.
		dsn := d.mysql(w.addr()) + "?readTimeout=2s"
		for _, c := range []*client{
			overSQL(t, "mysql", dsn, direct), overSQL(t, "traced-mysql", dsn, direct),
		} {
			t.Run(c.name, func(t *testing.T) { test(t, c, w) })
		}
	})
}

func TestWire(t *testing.T) {
	t.Parallel()
	clients(t, func(t *testing.T, c *client, w *wire) {
		for name, test := range map[string]func(*testing.T, *client, *wire){
			"commit in doubt":  commitInDoubt,
			"commit times out": commitTimesOut,
			"connection lost":  connectionLost,
			"statement":        statementInDoubt,
			"rebound alone":    reboundAlone,
			"read-only":        readOnlyServer,
		} {
			t.Run(name, func(t *testing.T) {
				mustExec(t, c.direct, "DROP TABLE IF EXISTS d, lock_of_d",
					"CREATE TABLE d (k VARCHAR(20), n INT)", "CREATE TABLE lock_of_d (n INT)")
				test(t, c, w)
			})
		}
	})
}

// The wire breaks after COMMIT was sent and before its answer comes. The transaction was applied,
// but the client cannot find out.
func commitInDoubt(t *testing.T, c *client, w *wire) {
	for _, v := range []struct {
		name  string
		opts  reboundsql.Options
		doubt bool
		rows  int
	}{
		{"in doubt", reboundsql.Options{}, true, 1},
		{"asked", reboundsql.Options{Applied: func(ctx context.Context) (yes bool, err error) {
			n := 0
			const q = "SELECT count(*) FROM d WHERE k = 'asked'"
			err = c.direct.QueryRowContext(ctx, q).Scan(&n)
			return n > 0, err
		}}, false, 1},
		{"idempotent", reboundsql.Options{Idempotent: true}, false, 2},
	} {
		err := c.run(t.Context(), v.opts, policy(nil), breakAtCommit(w, v.name))
		if got := errors.Is(err, reboundsql.ErrOutcomeUnknown); got != v.doubt {
			t.Errorf("%s: in doubt: %v, want %v: %v", v.name, got, v.doubt, err)
		}
		if !v.doubt && err != nil {
			t.Errorf("%s: got %v", v.name, err)
		}
		q := "SELECT count(*) FROM d WHERE k = '" + v.name + "'"
		if got := mustCount(t, c.direct, q); got != v.rows {
			t.Errorf("%s: applied %d times, want %d", v.name, got, v.rows)
		}
	}
}

// breakAtCommit inserts a row and, the first time, drops the answer to the COMMIT that follows.
func breakAtCommit(w *wire, key string) func(context.Context, execer) error {
	attempts := 0
	return func(ctx context.Context, exec execer) error {
		attempts++
		err := exec(ctx, "INSERT INTO d VALUES ('"+key+"', 1)")
		if err == nil && attempts == 1 {
			w.mute()
			time.AfterFunc(200*time.Millisecond, w.mend)
		}
		return err
	}
}

// The same without any answer: the attempt's timeout ends the COMMIT. With lib/pq nothing does:
// when its context ends, it asks the server to cancel, and reads on.
func commitTimesOut(t *testing.T, c *client, w *wire) {
	if c.driver() == "postgres" {
		return
	}
	p := policy(nil)
	p.AttemptTimeout = 500 * time.Millisecond
	start := time.Now()
	err := c.run(t.Context(), reboundsql.Options{}, p, func(ctx context.Context, exec execer) error {
		defer w.mute()
		return exec(ctx, "INSERT INTO d VALUES ('x', 1)")
	})
	took := time.Since(start)
	w.mend()
	if !errors.Is(err, reboundsql.ErrOutcomeUnknown) || took > 5*time.Second {
		t.Errorf("got %v after %v, want ErrOutcomeUnknown within 5s", err, took)
	}
	if got := mustCount(t, c.direct, "SELECT count(*) FROM d"); got != 1 {
		t.Errorf("applied %d times, want 1", got)
	}
}

// slow is an expression that the server computes when loseAnswer allows it. It is a number.
func (c *client) slow() string {
	if c.driver() == "mysql" {
		return "(SELECT count(*) FROM lock_of_d)"
	}
	return "length(pg_advisory_xact_lock(1)::text)"
}

// loseAnswer drops the answer to the next slow statement: the wire is mute when the server ends it.
// Then the channel is closed.
func loseAnswer(t *testing.T, c *client, w *wire) <-chan struct{} {
	lock, unlock := "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock(1)"
	running := "SELECT count(*) FROM pg_stat_activity " +
		"WHERE query LIKE 'INSERT INTO d SELECT%lock%' AND state = 'active'"
	waiting := running + " AND wait_event = 'advisory'"
	if c.driver() == "mysql" {
		lock, unlock = "LOCK TABLES lock_of_d WRITE", "UNLOCK TABLES"
		running = "SELECT count(*) FROM information_schema.processlist " +
			"WHERE info LIKE 'INSERT INTO d SELECT%lock%'"
		waiting = running + " AND state LIKE 'Waiting%lock'"
	}
	holder, err := c.direct.Conn(t.Context())
	if err == nil {
		_, err = holder.ExecContext(t.Context(), lock)
	}
	if err != nil {
		t.Fatal(err)
	}
	until := func(query string, want int) {
		n := 0
		for range 1000 {
			if err := c.direct.QueryRow(query).Scan(&n); err == nil && n == want {
				return
			}
			pause(10 * time.Millisecond)
		}
		t.Errorf("%s: got %d, want %d", query, n, want)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		until(waiting, 1)
		w.mute()
		if _, err := holder.ExecContext(t.Context(), unlock); err != nil {
			t.Error(err)
		}
		_ = holder.Close()
		until(running, 0)
		w.mend()
	}()
	return done
}

// A statement is its own COMMIT. If its answer is lost, it was carried out once, and is in doubt.
func statementInDoubt(t *testing.T, c *client, w *wire) {
	if c.db == nil {
		return
	}
	exec := func(o *reboundsql.Options) func(string) error {
		return func(insert string) error {
			_, err := reboundsql.Exec(t.Context(), c.db, policy(nil), o, insert)
			return err
		}
	}
	query := func(insert string) error {
		scan := func(rows *sql.Rows) (k string, err error) { return k, rows.Scan(&k) }
		_, err := reboundsql.Query(t.Context(), c.db, policy(nil), nil, scan, insert+" RETURNING k")
		return err
	}
	for _, v := range []struct {
		name  string
		run   func(insert string) error
		doubt bool
		rows  int
	}{
		{"once", exec(nil), true, 1},
		{"twice", exec(&reboundsql.Options{Idempotent: true}), false, 2},
		{"returning", query, true, 1},
	} {
		lost := loseAnswer(t, c, w)
		err := v.run("INSERT INTO d SELECT '" + v.name + "', " + c.slow())
		<-lost
		if got := errors.Is(err, reboundsql.ErrOutcomeUnknown); got != v.doubt {
			t.Errorf("%s: in doubt: %v, want %v: %v", v.name, got, v.doubt, err)
		}
		q := "SELECT count(*) FROM d WHERE k = '" + v.name + "'"
		if got := mustCount(t, c.direct, q); got != v.rows {
			t.Errorf("%s: applied %d times, want %d", v.name, got, v.rows)
		}
	}
}

// The engine alone, around a driver's own Exec: a driver's error for a lost answer proves nothing,
// so a NonIdempotent policy stops.
func reboundAlone(t *testing.T, c *client, w *wire) {
	p := policy(nil)
	p.NonIdempotent = true
	lost := loseAnswer(t, c, w)
	err := rebound.Run(t.Context(), p, func(ctx context.Context) error {
		return c.exec(ctx, "INSERT INTO d SELECT 'alone', "+c.slow())
	})
	<-lost
	if !errors.Is(err, rebound.NotIdempotent) {
		t.Errorf("got %v, want it to stop for NotIdempotent", err)
	}
	if got := mustCount(t, c.direct, "SELECT count(*) FROM d WHERE k = 'alone'"); got != 1 {
		t.Errorf("applied %d times, want 1", got)
	}
}

// If the wire breaks in the middle of a transaction, the transaction is certainly undone.
func connectionLost(t *testing.T, c *client, w *wire) {
	attempts := 0
	p := policy(nil)
	p.NonIdempotent = true
	err := c.run(t.Context(), reboundsql.Options{}, p, func(ctx context.Context, exec execer) error {
		attempts++
		if err := exec(ctx, "INSERT INTO d VALUES ('x', 1)"); err != nil {
			return err
		}
		if attempts == 1 {
			w.cut()
		}
		return exec(ctx, "INSERT INTO d VALUES ('x', 2)")
	})
	if err != nil || attempts != 2 {
		t.Errorf("got %v after %d attempts, want success at the second", err, attempts)
	}
	if got := mustCount(t, c.direct, "SELECT count(*) FROM d"); got != 2 {
		t.Errorf("%d rows, want 2", got)
	}
}

// After a failover, all connections of the pool lead to a server that no longer writes. The next
// attempt is made on a new one.
func readOnlyServer(t *testing.T, c *client, _ *wire) {
	demote := func(ctx context.Context, exec execer) error {
		return exec(ctx, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
	}
	if c.driver() == "mysql" || c.driver() == "postgres" {
		return // there, the server as a whole is read-only; lib/pq overrides a session's setting
	}
	if err := occupy(t.Context(), c, 4, demote); err != nil {
		t.Fatal(err)
	}
	retries := &tally{}
	err := c.run(t.Context(), reboundsql.Options{}, policy(retries),
		func(ctx context.Context, exec execer) error {
			return exec(ctx, "INSERT INTO d VALUES ('x', 1)")
		})
	if err != nil || retries.n["sqlstate 25006"] != 1 {
		t.Errorf("got %v after retries %v, want one for 25006", err, retries.n)
	}
}

// occupy runs n transactions at the same time, so that as many connections are in the pool then.
func occupy(ctx context.Context, c *client, n int, fn func(context.Context, execer) error) error {
	errs := make(chan error, n)
	var begun sync.WaitGroup
	begun.Add(n)
	for range n {
		go func() {
			once := sync.OnceFunc(begun.Done)
			defer once() // if it has not even begun
			errs <- c.run(ctx, reboundsql.Options{}, policy(nil),
				func(ctx context.Context, exec execer) error {
					once()
					begun.Wait()
					return fn(ctx, exec)
				})
		}()
	}
	var err error
	for range n {
		err = errors.Join(err, <-errs)
	}
	return err
}

// MariaDB reports a read-only server by a text, with a number that has other meanings, too.
func TestReadOnlyMariaDB(t *testing.T) {
	t.Parallel()
	d := startMariaDB(t)
	addr := d.Addr()
	root := open(t, "mysql", d.mysql(addr))
	mustExec(t, root, "CREATE TABLE d (k VARCHAR(20), n INT)", "CREATE USER app",
		"GRANT ALL ON mysql.d TO app", "SET GLOBAL read_only = 1")
	c := overSQL(t, "mysql", strings.Replace(d.mysql(addr), "root@", "app@", 1), root)
	retries := &tally{}
	err := c.run(t.Context(), reboundsql.Options{}, policy(retries),
		func(ctx context.Context, exec execer) error {
			err := exec(ctx, "INSERT INTO d VALUES ('x', 1)")
			if err != nil {
				mustExec(t, root, "SET GLOBAL read_only = 0")
			}
			return err
		})
	if err != nil || retries.n["mysql 1290"] != 1 {
		t.Errorf("got %v after retries %v, want one for 1290", err, retries.n)
	}
}
