package reboundsql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundsql"
)

func TestExec(t *testing.T) {
	type do = func(
		context.Context, *sql.DB, *rebound.Policy, *reboundsql.Options, string, ...any,
	) (sql.Result, error)
	for _, c := range []struct {
		name   string
		server *server
		do     do
		want   string
		reason rebound.Reason
		doubt  bool
	}{
		{"nothing goes wrong", &server{}, reboundsql.Exec, "1:open 1:exec", "", false},
		{
			"a deadlock", new(server).says("exec", state("40P01")),
			reboundsql.Exec, "1:open 1:exec 1:ping 1:exec", "", false,
		}, {
			"a constraint", new(server).says("exec", state("23505")),
			reboundsql.Exec, "1:open 1:exec", rebound.NotRetryable, false,
		}, {
			"a broken wire", new(server).says("exec", io.EOF),
			reboundsql.Exec, "1:open 1:exec", rebound.NotRetryable, true,
		}, {
			"a broken wire, idempotent", new(server).says("exec", io.EOF),
			reboundsql.ExecIdempotent, "1:open 1:exec 1:ping 1:exec", "", false,
		}, {
			"then something else", new(server).says("exec", io.EOF, state("42601")),
			reboundsql.ExecIdempotent, "1:open 1:exec 1:ping 1:exec", rebound.NotRetryable, true,
		}, {
			"no driver is believed that nothing was sent",
			new(server).says("exec", driver.ErrBadConn),
			reboundsql.Exec, "1:open 1:exec", rebound.NotRetryable, true,
		}, {
			"three statements for three attempts, not nine",
			new(server).says("exec", driver.ErrBadConn, driver.ErrBadConn, driver.ErrBadConn),
			reboundsql.ExecIdempotent, "1:open 1:exec 2:open 2:ping 2:exec 3:open 3:ping 3:exec",
			rebound.Exhausted, true,
		}, {
			"a server that became read-only", new(server).says("exec", state("25006")),
			reboundsql.Exec, "1:open 1:exec 2:open 2:ping 2:exec", "", false,
		}, {
			"no server", new(server).says("open", io.EOF, io.EOF, io.EOF),
			reboundsql.Exec, "1:open 2:open 3:open", rebound.Exhausted, false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := c.do(t.Context(), c.server.database(t), quick(3), nil, "exec")
			check(t, c.server, err, c.want, c.reason)
			if got := errors.Is(err, reboundsql.ErrOutcomeUnknown); got != c.doubt {
				t.Errorf("in doubt: %v, want %v: %v", got, c.doubt, err)
			}
			if err == nil {
				if n, _ := res.RowsAffected(); n != 1 {
					t.Errorf("%d rows affected, want 1", n)
				}
			}
		})
	}
}

func TestExecWithInvalidArguments(t *testing.T) {
	s := &server{}
	_, err := reboundsql.Exec(t.Context(), s.database(t), quick(1), nil, "exec", make(chan int))
	if err == nil || errors.Is(err, reboundsql.ErrOutcomeUnknown) {
		t.Errorf("got %v, want an error without doubt: nothing was sent", err)
	}
}

// A query that broke off in the middle begins again, and no row comes twice.
func TestQuery(t *testing.T) {
	s := new(server).says("row", nil, io.ErrUnexpectedEOF)
	p := quick(3)
	p.NonIdempotent = true // ignored by a query
	got, err := reboundsql.Query(t.Context(), s.database(t), p, nil, number, "SELECT")
	check(t, s, err, "1:open 1:SELECT 1:row 1:row 1:ping 1:SELECT 1:row 1:row 1:row", "")
	if want := []int{1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestQueryThatCannotBeScanned(t *testing.T) {
	s := &server{}
	scan := func(rows *sql.Rows) (n bool, err error) { return n, rows.Scan(&n, &n) }
	_, err := reboundsql.Query(t.Context(), s.database(t), quick(1), nil, scan, "query")
	check(t, s, err, "1:open 1:query 1:row", rebound.Exhausted)
}

// queries are texts, and whether Query may repeat them.
var queries = map[string]bool{
	"SELECT * FROM a":                                            true,
	"select inserted, updated_at from deletes":                   true,
	"select update0, delete9, INSERTa, call_z from 0merge":       true,
	"  -- all of them\n/* of a */ (SELECT 1)":                    true,
	"WITH x AS (SELECT 1) SELECT * FROM x":                       true,
	"VALUES (1)":                                                 true,
	"TABLE a":                                                    true,
	"SHOW TABLES":                                                true,
	"EXPLAIN SELECT 1":                                           true,
	"INSERT INTO a VALUES (1) RETURNING id":                      false,
	"insert into a values (1) returning id":                      false,
	"/* SELECT */ INSERT INTO a VALUES (1)":                      false,
	"-- SELECT\nINSERT INTO a VALUES (1)":                        false,
	"/*!50000 INSERT INTO a */ SELECT 1":                         false,
	"/*M!100100 INSERT INTO a */ SELECT 1":                       false,
	"/*! INSERT INTO a VALUES (1) */":                            false,
	"-- only a comment":                                          false,
	"UPDATE a SET n = 1 RETURNING n":                             false,
	"DELETE FROM a RETURNING n":                                  false,
	"MERGE INTO a USING b ON (1=1)":                              false,
	"REPLACE INTO a VALUES (1) RETURNING n":                      false,
	"WITH x AS (DELETE FROM a RETURNING n)\nTABLE x":             false,
	"WITH x AS(INSERT INTO a VALUES(1)RETURNING n)SELECT*FROM x": false,
	"EXPLAIN ANALYZE DELETE FROM a":                              false,
	"SELECT 1; DELETE FROM a":                                    false,
	"SELECT n INTO b FROM a":                                     false,
	"CALL charge()":                                              false,
	"EXEC charge":                                                false,
	"DO $$ … $$":                                                 false,
	"query":                                                      false,
	"":                                                           false,
}

// A query with changes is not repeated if it may have been carried out.
func TestQueryThatWrites(t *testing.T) {
	for query, repeated := range queries {
		for _, c := range []struct {
			word string
			err  error
		}{{query, io.EOF}, {query, driver.ErrBadConn}, {query, errWire}, {"row", io.ErrUnexpectedEOF}} {
			s := new(server).says(c.word, c.err)
			_, err := reboundsql.Query(t.Context(), s.database(t), quick(3), nil, number, query)
			if got, want := errors.Is(err, reboundsql.ErrOutcomeUnknown), !repeated; got != want {
				t.Errorf("%q, %v: in doubt: %v, want %v: %v", query, c.err, got, want, err)
			}
			if repeated != (err == nil) {
				t.Errorf("%q, %v: got %v, want it repeated: %v", query, c.err, err, repeated)
			}
		}
	}
	s := new(server).says("INSERT", state("40001")) // rolled back
	got, err := reboundsql.Query(t.Context(), s.database(t), quick(3), nil, number, "INSERT")
	if s.times("INSERT") != 2 || err != nil || !slices.Equal(got, []int{1, 2}) {
		t.Errorf("got %v, %v, want two rows of the second attempt", got, err)
	}
	s = new(server).says("INSERT", io.EOF)
	o := &reboundsql.Options{Idempotent: true}
	_, err = reboundsql.Query(t.Context(), s.database(t), quick(3), o, number, "INSERT")
	if s.times("INSERT") != 2 || err != nil {
		t.Errorf("got %v, want an idempotent query to be repeated", err)
	}
}

// In a read-only transaction a query changes nothing, whatever its text.
func TestQueryInReadOnlyTransaction(t *testing.T) {
	o := &reboundsql.Options{Tx: readOnly}
	s := new(server).says("SELECT charge()", io.EOF)
	got, err := reboundsql.Query(t.Context(), s.database(t), quick(3), o, number, "SELECT charge()")
	check(t, s, err, "1:open 1:begin/ro 1:SELECT charge() 1:rollback 1:ping "+
		"1:begin/ro 1:SELECT charge() 1:row 1:row 1:row 1:rollback", "")
	if want := []int{1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	s = new(server).says("INSERT", state("25006"))
	_, err = reboundsql.Query(t.Context(), s.database(t), quick(3), o, number, "INSERT")
	check(t, s, err, "1:open 1:begin/ro 1:INSERT 1:rollback", rebound.NotRetryable)
}

// Exec also calls Applied for a statement whose answer was lost.
func TestExecApplied(t *testing.T) {
	for _, c := range questions[:2] {
		s := new(server).says("exec", errWire)
		o := &reboundsql.Options{Applied: answers(c.applied...), Tx: readOnly}
		res, err := reboundsql.Exec(t.Context(), s.database(t), quick(3), o, "exec")
		want := "1:open 1:exec"
		if c.applied[0] == false {
			want += " 1:ping 1:exec"
		}
		check(t, s, err, want, "")
		if _, counts := res.RowsAffected(); (counts == nil) != (c.applied[0] == false) {
			t.Errorf("%s: got %v of the result's count", c.name, counts)
		}
	}
	s := new(server).says("exec", state("23505"))
	o := &reboundsql.Options{RetryUnique: true}
	_, err := reboundsql.Exec(t.Context(), s.database(t), quick(3), o, "exec")
	check(t, s, err, "1:open 1:exec 1:ping 1:exec", "")
}

// A read-only Tx does not make a statement of Exec harmless.
func TestExecIgnoresTx(t *testing.T) {
	s := new(server).says("exec", io.EOF)
	o := &reboundsql.Options{Tx: readOnly}
	_, err := reboundsql.Exec(t.Context(), s.database(t), quick(3), o, "exec")
	check(t, s, err, "1:open 1:exec", rebound.NotRetryable)
}

func number(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) }

// A connection to a read-only server leaves the pool, even if its call has no further attempt.
func TestReadOnlyConnectionLeavesThePool(t *testing.T) {
	for _, c := range []struct {
		err  error
		left int
	}{
		{state("25006"), 0},
		{mysql(1792, "25006"), 0},
		{mysql(1836, "HY000"), 0},
		{mysql(3100, "HY000"), 0},
		{mssqlError(3906), 0},
		{&OracleError{16000}, 0},
		{fmt.Errorf("%w: running with the --read-only option", mysql(1290, "HY000")), 0},
		{fmt.Errorf("%w: tidb_super_read_only is on", mysql(1290, "HY000")), 0},
		{fmt.Errorf("%w: running with --secure-file-priv", mysql(1290, "HY000")), 1},
		{state("42601"), 1},
	} {
		for name, call := range map[string]func(*sql.DB) error{
			"InTx": func(db *sql.DB) error {
				return reboundsql.InTx(t.Context(), db, quick(1), nil, write)
			},
			"Exec": func(db *sql.DB) error {
				_, err := reboundsql.Exec(t.Context(), db, quick(1), nil, "exec")
				return err
			},
		} {
			db := new(server).says("exec", c.err).database(t)
			if err := call(db); err == nil {
				t.Errorf("%s: %v: got nil, want an error", name, c.err)
			}
			if got := db.Stats().OpenConnections; got != c.left {
				t.Errorf("%s: %v: %d connections open, want %d", name, c.err, got, c.left)
			}
		}
	}
}

// A caller that waits for a connection does not get it either.
func TestReadOnlyConnectionIsNotPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		db := s.database(t)
		db.SetMaxOpenConns(1)
		waiter := func() { _, _ = db.ExecContext(t.Context(), "waiter") }
		s.hook = func(_ context.Context, word string) error {
			if word != "exec" || s.times("exec") > 1 {
				return nil
			}
			go waiter()
			synctest.Wait()
			return state("25006")
		}
		_, err := reboundsql.Exec(t.Context(), db, quick(1), nil, "exec")
		synctest.Wait()
		check(t, s, err, "1:open 1:exec 2:open 2:waiter", rebound.Exhausted)
	})
}

// The connections of a transaction that was read-only by choice stay in the pool.
func TestReadOnlyTransactionKeepsThePool(t *testing.T) {
	db := new(server).says("exec", state("25006")).database(t)
	o := &reboundsql.Options{Tx: readOnly}
	err := reboundsql.InTx(t.Context(), db, quick(1), o, write)
	if got := db.Stats().OpenConnections; err == nil || got != 1 {
		t.Errorf("got %v and %d connections open, want an error and 1", err, got)
	}
}
