//go:build linux

package sql_test

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/daemon"
	"github.com/rebound-go/rebound/reboundsql"
)

// tally counts by word.
type tally struct {
	sync.Mutex
	n map[string]int
}

func (t *tally) add(word string) {
	t.Lock()
	defer t.Unlock()
	if t.n == nil {
		t.n = map[string]int{}
	}
	t.n[word]++
}

// policy makes up to ten attempts with short delays, and counts the reasons of its retries.
func policy(retries *tally) *rebound.Policy {
	return &rebound.Policy{
		Attempts:  10,
		Backoff:   backoff.Exponential{Base: 5 * time.Millisecond, Max: 200 * time.Millisecond},
		Throttled: backoff.Constant(20 * time.Millisecond),
		Budget:    budget.Unlimited,
		Observe: func(_ context.Context, e rebound.Event) {
			if e.Kind == rebound.Retrying && retries != nil {
				retries.add(e.Fault.Detail)
			}
		},
	}
}

// engine is a driver with a database, and its statements for the tests.
type engine struct {
	db       *sql.DB
	sleep    string // a statement that takes 10 s
	readOnly string // a statement that makes its connection read-only; "" = there is none
	refusal  string // what the policy gets then
	conflict string // what the policy gets from a transaction that lost against another
	unique   string // the same for a key that existed already
	others   sync.WaitGroup
}

// engines runs a test with every driver of database/sql.
func engines(t *testing.T, test func(*testing.T, *engine)) {
	t.Run("postgres", func(t *testing.T) {
		d := startPostgres(t)
		for _, driver := range []string{"pgx", "postgres"} {
			t.Run(driver, func(t *testing.T) {
				dsn := daemon.PostgresURL(d.Addr())
				test(t, &engine{db: open(t, driver, dsn), sleep: "SELECT pg_sleep(10)",
					readOnly: "SET default_transaction_read_only = on", refusal: "sqlstate 25006",
					conflict: "sqlstate 40001", unique: "sqlstate 23505"})
			})
		}
	})
	t.Run("mariadb", func(t *testing.T) {
		d := startMariaDB(t)
		dsn := d.mysql(d.Addr())
		test(t, &engine{db: open(t, "mysql", dsn), sleep: "DO SLEEP(10)",
			readOnly: "SET SESSION TRANSACTION READ ONLY", refusal: "mysql 1792",
			conflict: "mysql 1213", unique: "mysql 1062"})
	})
	t.Run("sqlite", func(t *testing.T) {
		test(t, &engine{db: open(t, "sqlite", sqliteFile(t)),
			sleep: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) " +
				"SELECT max(i) FROM n", conflict: "sqlite 517", unique: "sqlite 1555"})
	})
}

func TestDrivers(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, e *engine) {
		mustExec(t, e.db, "DROP TABLE IF EXISTS a", "CREATE TABLE a (id INT PRIMARY KEY, n INT)",
			"INSERT INTO a VALUES (1, 0), (2, 0)")
		t.Run("conflict", e.testConflict)
		t.Run("unique", e.testUnique)
		t.Run("hopeless", e.testHopeless)
		t.Run("timeout", e.testTimeout)
		t.Run("statement", e.testStatement)
		t.Run("read-only", e.testReadOnly)
	})
}

// Two transactions read a row each, and then write the row that the other one has read. One of them
// must lose, and is retried.
func (e *engine) testConflict(t *testing.T) {
	retries := &tally{}
	p := policy(retries)
	o := reboundsql.Options{Tx: &sql.TxOptions{Isolation: sql.LevelSerializable}}
	first := true
	transfer := func(ctx context.Context, tx *sql.Tx) error {
		n := 0
		if err := tx.QueryRowContext(ctx, "SELECT n FROM a WHERE id = 1").Scan(&n); err != nil {
			return err
		}
		if first {
			first = false
			if err := e.intrude(ctx, p, t); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "UPDATE a SET n = "+strconv.Itoa(n+1)+" WHERE id = 1")
		return err
	}
	err := reboundsql.InTx(t.Context(), e.db, p, &o, transfer)
	e.others.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := mustCount(t, e.db, "SELECT n FROM a WHERE id = 1"); got != 2 {
		t.Errorf("n is %d after two increments, want 2", got)
	}
	if retries.n[e.conflict] == 0 {
		t.Errorf("retried for %v, want %q among it", retries.n, e.conflict)
	}
}

// intrude increments the row in another transaction. In MariaDB it waits for the reader's lock and
// becomes one side of a deadlock, so the test does not wait for it there.
func (e *engine) intrude(ctx context.Context, p *rebound.Policy, t *testing.T) error {
	increment := func() error {
		_, err := reboundsql.Exec(ctx, e.db, p, nil, "UPDATE a SET n = n + 1 WHERE id = 1")
		return err
	}
	if e.conflict != "mysql 1213" {
		return increment()
	}
	e.others.Go(func() {
		if err := increment(); err != nil {
			t.Error(err)
		}
	})
	return e.waitForLock(ctx)
}

// waitForLock waits until a transaction of MariaDB waits for a lock. InnoDB updates its list of
// locks only after a tenth of a second without a query. A test that queries more often gets the
// first answer for ever.
func (e *engine) waitForLock(ctx context.Context) error {
	for n := 0; n == 0; pause(200 * time.Millisecond) {
		const q = "SELECT count(*) FROM information_schema.innodb_lock_waits"
		if err := e.db.QueryRowContext(ctx, q).Scan(&n); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) testUnique(t *testing.T) {
	insert := func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO a VALUES (1, 0)")
		return err
	}
	retries := &tally{}
	p := policy(retries)
	p.Attempts = 2
	err := reboundsql.InTx(t.Context(), e.db, p, nil, insert)
	if !errors.Is(err, rebound.NotRetryable) || len(retries.n) != 0 {
		t.Errorf("got %v after retries %v, want none", err, retries.n)
	}
	err = reboundsql.InTx(t.Context(), e.db, p, &reboundsql.Options{RetryUnique: true}, insert)
	if !errors.Is(err, rebound.Exhausted) || retries.n[e.unique] != 1 {
		t.Errorf("got %v after retries %v, want one for %q", err, retries.n, e.unique)
	}
}

func (e *engine) testHopeless(t *testing.T) {
	for _, statement := range []string{
		"NONSENSE", "SELECT * FROM nowhere", "INSERT INTO a VALUES (1, 1, 1)",
	} {
		retries := &tally{}
		err := reboundsql.InTx(t.Context(), e.db, policy(retries), nil,
			func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, statement)
				return err
			})
		if !errors.Is(err, rebound.NotRetryable) || len(retries.n) != 0 {
			t.Errorf("%s: got %v after retries %v, want none", statement, err, retries.n)
		}
	}
}

// The attempt's timeout cancels the running statement. The pool has at most one connection, so a
// broken connection in the pool, or a statement that still runs, would fail the test.
func (e *engine) testTimeout(t *testing.T) {
	e.db.SetMaxOpenConns(1)
	defer e.db.SetMaxOpenConns(0)
	p := policy(nil)
	p.AttemptTimeout = 300 * time.Millisecond
	attempts := 0
	start := time.Now()
	err := reboundsql.InTx(t.Context(), e.db, p, nil, func(ctx context.Context, tx *sql.Tx) error {
		attempts++
		if attempts == 1 {
			rows, err := tx.QueryContext(ctx, e.sleep)
			if err == nil {
				for rows.Next() {
				}
				err = errors.Join(rows.Err(), rows.Close())
			}
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE a SET n = 7 WHERE id = 2")
		return err
	})
	if took := time.Since(start); err != nil || attempts != 2 || took > 5*time.Second {
		t.Errorf("got %v after %d attempts and %v, want success at the second within 5s",
			err, attempts, took)
	}
	if got := mustCount(t, e.db, "SELECT n FROM a WHERE id = 2"); got != 7 {
		t.Errorf("n is %d, want 7", got)
	}
}

func (e *engine) testStatement(t *testing.T) {
	res, err := reboundsql.Exec(t.Context(), e.db, policy(nil), nil, "UPDATE a SET n = 9 WHERE id = 2")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := res.RowsAffected(); n != 1 {
		t.Errorf("%d rows affected, want 1", n)
	}
	scan := func(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) }
	got, err := reboundsql.Query(t.Context(), e.db, policy(nil), nil, scan,
		"SELECT n FROM a WHERE id = 2 UNION ALL SELECT 10")
	if err != nil || len(got) != 2 || got[0] != 9 || got[1] != 10 {
		t.Errorf("got %v, %v, want [9 10]", got, err)
	}
	_, err = reboundsql.Exec(t.Context(), e.db, policy(nil), nil, "INSERT INTO a VALUES (1, 0)")
	if f := fault.Of(err); f.Kind != fault.Permanent || errors.Is(err, reboundsql.ErrOutcomeUnknown) {
		t.Errorf("a duplicate key: got %v, %v, want it permanent and without doubt", f.Kind, err)
	}
}

// A connection that became read-only leaves the pool, and the next attempt gets another.
func (e *engine) testReadOnly(t *testing.T) {
	if e.readOnly == "" {
		return
	}
	e.db.SetMaxOpenConns(1)
	defer e.db.SetMaxOpenConns(0)
	const update = "UPDATE a SET n = n + 1 WHERE id = 2"
	inTx := func(p *rebound.Policy) error {
		return reboundsql.InTx(t.Context(), e.db, p, nil,
			func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, update)
				return err
			})
	}
	exec := func(p *rebound.Policy) error {
		_, err := reboundsql.Exec(t.Context(), e.db, p, nil, update)
		return err
	}
	for name, do := range map[string]func(*rebound.Policy) error{"InTx": inTx, "Exec": exec} {
		if _, pq := e.db.Driver().(*pq.Driver); pq && name == "InTx" {
			continue // its BEGIN sets READ WRITE by itself
		}
		mustExec(t, e.db, e.readOnly)
		retries := &tally{}
		if err := do(policy(retries)); err != nil || retries.n[e.refusal] != 1 {
			t.Errorf("%s: got %v after retries %v, want one for %q", name, err, retries.n, e.refusal)
		}
		mustExec(t, e.db, e.readOnly)
		once := policy(nil)
		once.Attempts = 1
		if err := do(once); err == nil {
			t.Errorf("%s: got nil, want the rejection", name)
		}
		mustExec(t, e.db, update) // on another connection
	}
}
