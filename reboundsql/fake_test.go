package reboundsql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
)

// server is a database that records its requests and answers by a script. The errors that a test
// has queued for a word ("open", "begin", "exec", "query", "commit", "rollback", "ping") are
// returned first, and then none.
type server struct {
	mu     sync.Mutex
	script map[string][]error
	log    []string
	conns  int                                          // opened so far
	open   int                                          // open now
	hook   func(ctx context.Context, word string) error // in place of the script, if it is set
}

// state is an error like those of PostgreSQL's drivers.
type state string

func (s state) Error() string    { return "ERROR " + string(s) }
func (s state) SQLState() string { return string(s) }

var errWire = errors.New("the wire broke") // says nothing about what the server did

func (s *server) says(word string, errs ...error) *server {
	if s.script == nil {
		s.script = map[string][]error{}
	}
	s.script[word] = append(s.script[word], errs...)
	return s
}

// fresh is a server with the same script, without any request yet.
func (s *server) fresh() *server { return &server{script: maps.Clone(s.script)} }

func (s *server) step(ctx context.Context, conn int, word string) error {
	s.mu.Lock()
	s.log = append(s.log, fmt.Sprintf("%d:%s", conn, word))
	hook := s.hook
	var err error
	if errs := s.script[word]; len(errs) > 0 {
		err, s.script[word] = errs[0], errs[1:]
	}
	s.mu.Unlock()
	if hook != nil && err == nil {
		return hook(ctx, word)
	}
	return err
}

// asked are the server's requests, each word after the number of its connection.
func (s *server) asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, " ")
}

// times is how often the server got one word.
func (s *server) times(word string) int {
	return strings.Count(s.asked()+" ", ":"+word+" ")
}

func (s *server) Driver() driver.Driver { return nil }

func (s *server) Connect(ctx context.Context) (driver.Conn, error) {
	s.mu.Lock()
	s.conns++
	n := s.conns
	s.mu.Unlock()
	if err := s.step(ctx, n, "open"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.open++
	s.mu.Unlock()
	return &fakeConn{s: s, n: n}, nil
}

type fakeConn struct {
	s   *server
	n   int
	ctx context.Context // of the transaction
}

func (c *fakeConn) Close() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.open--
	return nil
}

func (c *fakeConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (c *fakeConn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }

func (c *fakeConn) Ping(ctx context.Context) error { return c.s.step(ctx, c.n, "ping") }

func (c *fakeConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	word := "begin"
	if o.Isolation != 0 {
		word += "/" + sql.IsolationLevel(o.Isolation).String()
	}
	if o.ReadOnly {
		word += "/ro"
	}
	c.ctx = ctx
	return c, c.s.step(ctx, c.n, word)
}

func (c *fakeConn) ExecContext(
	ctx context.Context, query string, _ []driver.NamedValue,
) (driver.Result, error) {
	return driver.RowsAffected(1), c.s.step(ctx, c.n, query)
}

func (c *fakeConn) QueryContext(
	ctx context.Context, query string, _ []driver.NamedValue,
) (driver.Rows, error) {
	return &fakeRows{c: c, ctx: ctx}, c.s.step(ctx, c.n, query)
}

func (c *fakeConn) Commit() error   { return c.s.step(c.ctx, c.n, "commit") }
func (c *fakeConn) Rollback() error { return c.s.step(c.ctx, c.n, "rollback") }

// fakeRows are two rows, 1 and 2; the script's "row" is asked before each.
type fakeRows struct {
	c   *fakeConn
	ctx context.Context
	n   int64
}

func (r *fakeRows) Columns() []string { return []string{"n"} }
func (r *fakeRows) Close() error      { return nil }

func (r *fakeRows) Next(dest []driver.Value) error {
	if err := r.c.s.step(r.ctx, r.c.n, "row"); err != nil {
		return err
	}
	if r.n++; r.n > 2 {
		return io.EOF
	}
	dest[0] = r.n
	return nil
}

// database opens s, and checks that no connection is in use, or open, at the end.
func (s *server) database(t testing.TB) *sql.DB {
	t.Helper()
	db := sql.OpenDB(s)
	t.Cleanup(func() {
		if n := db.Stats().InUse; n != 0 {
			t.Errorf("%d connections in use at the end, want 0", n)
		}
		db.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open != 0 {
			t.Errorf("%d connections open after Close, want 0", s.open)
		}
	})
	return db
}

// quick is a policy of n attempts with minimal delays.
func quick(n int) *rebound.Policy {
	return &rebound.Policy{
		Attempts: n, Budget: budget.Unlimited,
		Backoff: backoff.Constant(time.Nanosecond), Throttled: backoff.Constant(time.Nanosecond),
	}
}

// write is a closure that executes one statement called "exec".
func write(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "exec")
	return err
}
