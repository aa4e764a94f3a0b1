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

// A query that broke off in the middle begins again, and nobody sees a row twice.
func TestQuery(t *testing.T) {
	s := new(server).says("row", nil, io.ErrUnexpectedEOF)
	p := quick(3)
	p.NonIdempotent = true // of no concern to a query
	got, err := reboundsql.Query(t.Context(), s.database(t), p, nil, number, "query")
	check(t, s, err, "1:open 1:query 1:row 1:row 1:ping 1:query 1:row 1:row 1:row", "")
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

func number(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) }

// A connection to a server that does not write leaves the pool, even if its call has no further
// attempt.
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
