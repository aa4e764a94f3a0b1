package reboundsql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundsql"
)

var readOnly = &sql.TxOptions{ReadOnly: true}

// failures are what can go wrong, and what the server gets then.
var failures = []struct {
	name   string
	server *server
	opts   reboundsql.Options
	want   string // asked
	reason rebound.Reason
	doubt  bool
}{
	{
		name:   "success",
		server: &server{},
		want:   "1:open 1:begin 1:exec 1:commit",
	}, {
		name:   "options reach the driver",
		server: &server{},
		opts:   reboundsql.Options{Tx: &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true}},
		want:   "1:open 1:begin/Serializable/ro 1:exec 1:commit",
	}, {
		name:   "a serialization failure: all is repeated",
		server: new(server).says("exec", state("40001")),
		want:   "1:open 1:begin 1:exec 1:rollback 1:begin 1:exec 1:commit",
	}, {
		name:   "a serialization failure at COMMIT, without a rollback",
		server: new(server).says("commit", state("40001")),
		want:   "1:open 1:begin 1:exec 1:commit 1:begin 1:exec 1:commit",
	}, {
		name:   "attempts end",
		server: new(server).says("exec", state("40P01"), state("40P01"), state("40P01")),
		want: "1:open 1:begin 1:exec 1:rollback 1:begin 1:exec 1:rollback " +
			"1:begin 1:exec 1:rollback",
		reason: rebound.Exhausted,
	}, {
		name:   "a syntax error is permanent",
		server: new(server).says("exec", state("42601")),
		want:   "1:open 1:begin 1:exec 1:rollback",
		reason: rebound.NotRetryable,
	}, {
		name:   "a unique violation is permanent",
		server: new(server).says("exec", state("23505")),
		want:   "1:open 1:begin 1:exec 1:rollback",
		reason: rebound.NotRetryable,
	}, {
		name:   "a unique violation with RetryUnique",
		server: new(server).says("exec", state("23505")),
		opts:   reboundsql.Options{RetryUnique: true},
		want:   "1:open 1:begin 1:exec 1:rollback 1:begin 1:exec 1:commit",
	}, {
		name:   "a constraint that fails at COMMIT",
		server: new(server).says("commit", state("23P01")),
		opts:   reboundsql.Options{RetryUnique: true},
		want:   "1:open 1:begin 1:exec 1:commit 1:begin 1:exec 1:commit",
	}, {
		name:   "a COMMIT on a broken wire is in doubt",
		server: new(server).says("commit", io.ErrUnexpectedEOF),
		want:   "1:open 1:begin 1:exec 1:commit",
		reason: rebound.NotRetryable,
		doubt:  true,
	}, {
		name:   "a bad connection at COMMIT is in doubt",
		server: new(server).says("commit", driver.ErrBadConn),
		want:   "1:open 1:begin 1:exec 1:commit",
		reason: rebound.NotRetryable,
		doubt:  true,
	}, {
		name:   "a server that shuts down may have committed",
		server: new(server).says("commit", state("57P01")),
		want:   "1:open 1:begin 1:exec 1:commit",
		reason: rebound.NotRetryable,
		doubt:  true,
	}, {
		name:   "CockroachDB reports an unknown outcome",
		server: new(server).says("commit", state("40003")),
		want:   "1:open 1:begin 1:exec 1:commit",
		reason: rebound.NotRetryable,
		doubt:  true,
	}, {
		name:   "CockroachDB reports that only the schema change failed",
		server: new(server).says("commit", state("XXA00")),
		want:   "1:open 1:begin 1:exec 1:commit",
		reason: rebound.NotRetryable,
		doubt:  true,
	}, {
		name:   "a failed schema change is in doubt and not retried, under any options",
		server: new(server).says("commit", state("XXA00")),
		opts:   reboundsql.Options{Idempotent: true, Applied: answers(true)},
		want:   "1:open 1:begin 1:exec 1:commit",
		reason: rebound.NotRetryable,
		doubt:  true,
	}, {
		name:   "an idempotent closure in doubt is retried",
		server: new(server).says("commit", errWire),
		opts:   reboundsql.Options{Idempotent: true},
		want:   "1:open 1:begin 1:exec 1:commit 1:begin 1:exec 1:commit",
	}, {
		name:   "a read-only transaction in doubt is retried",
		server: new(server).says("commit", errWire),
		opts:   reboundsql.Options{Tx: readOnly},
		want:   "1:open 1:begin/ro 1:exec 1:commit 1:begin/ro 1:exec 1:commit",
	}, {
		name:   "a read-only transaction is never in doubt, and Applied is not called",
		server: new(server).says("commit", errWire, driver.ErrBadConn, io.EOF),
		opts:   reboundsql.Options{Tx: readOnly, Applied: answers()},
		want: "1:open 1:begin/ro 1:exec 1:commit 1:begin/ro 1:exec 1:commit " +
			"2:open 2:ping 2:begin/ro 2:exec 2:commit",
		reason: rebound.Exhausted,
	}, {
		name:   "the doubt stays if the retry fails",
		server: new(server).says("commit", errWire).says("exec", nil, state("42601")),
		opts:   reboundsql.Options{Idempotent: true},
		want:   "1:open 1:begin 1:exec 1:commit 1:begin 1:exec 1:rollback",
		reason: rebound.NotRetryable,
		doubt:  true,
	}, {
		name:   "a failed transaction that fn tries to commit is rolled back",
		server: new(server).says("commit", errors.New("commit unexpectedly resulted in rollback")),
		want:   "1:open 1:begin 1:exec 1:commit",
		reason: rebound.NotRetryable,
	}, {
		name: "database/sql skips bad connections, once",
		server: new(server).says("begin", driver.ErrBadConn, driver.ErrBadConn,
			driver.ErrBadConn, driver.ErrBadConn),
		want: "1:open 1:begin 2:open 2:begin 3:open 3:begin " +
			"4:open 4:ping 4:begin 5:open 5:ping 5:begin 5:exec 5:commit",
	}, {
		name:   "after a broken connection the next one is pinged",
		server: new(server).says("exec", io.EOF).says("ping", io.EOF),
		want: "1:open 1:begin 1:exec 1:rollback 1:ping 2:open 2:ping " +
			"2:begin 2:exec 2:commit",
	}, {
		name:   "a server that became read-only: new connections are opened",
		server: new(server).says("exec", state("25006")),
		want:   "1:open 1:begin 1:exec 1:rollback 2:open 2:ping 2:begin 2:exec 2:commit",
	}, {
		name:   "a read-only transaction opens no new connections",
		server: new(server).says("exec", state("25006")),
		opts:   reboundsql.Options{Tx: readOnly},
		want:   "1:open 1:begin/ro 1:exec 1:rollback",
		reason: rebound.NotRetryable,
	},
}

// TestInTx lists what the server gets when something fails, and how the call ends.
func TestInTx(t *testing.T) {
	for _, c := range failures {
		t.Run(c.name, func(t *testing.T) {
			s := c.server.fresh()
			err := reboundsql.InTx(t.Context(), s.database(t), quick(3), &c.opts, write)
			check(t, s, err, c.want, c.reason)
			if got := errors.Is(err, reboundsql.ErrOutcomeUnknown); got != c.doubt {
				t.Errorf("in doubt: %v, want %v: %v", got, c.doubt, err)
			}
		})
	}
}

func check(t *testing.T, s *server, err error, want string, reason rebound.Reason) {
	t.Helper()
	if got := s.asked(); got != want {
		t.Errorf("asked\n%s, want\n%s", got, want)
	}
	if reason == "" && err != nil || reason != "" && !errors.Is(err, reason) {
		t.Errorf("got %v, want reason %q", err, reason)
	}
}

// A failure that is not in doubt is certainly not done, even for a NonIdempotent policy.
func TestNonIdempotentPolicyRepeatsTransactions(t *testing.T) {
	p := quick(3)
	p.NonIdempotent = true
	s := new(server).says("exec", io.EOF, state("57P01"))
	err := reboundsql.InTx(t.Context(), s.database(t), p, nil, write)
	if err != nil {
		t.Errorf("got %v, want success at the third attempt", err)
	}
	marked := func(ctx context.Context, tx *sql.Tx) error { return rebound.Transient(write(ctx, tx)) }
	p.RetryIf = func(fault.Fault) bool { return false }
	s = new(server).says("exec", io.EOF)
	if err := reboundsql.InTx(t.Context(), s.database(t), p, nil, marked); err != nil {
		t.Errorf("got %v, want the mark to outrank RetryIf", err)
	}
}

// A custom classifier does not take into account that the transaction was rolled back.
func TestNonIdempotentPolicyWithClassifier(t *testing.T) {
	p := quick(3)
	p.NonIdempotent, p.Budget = true, &budget.Budget{Capacity: 10}
	p.Classify = func(err error) fault.Fault {
		return fault.Fault{Kind: fault.Transient, Detail: "own", Err: err}
	}
	marked := func(ctx context.Context, tx *sql.Tx) error { return rebound.Transient(write(ctx, tx)) }
	for _, fn := range []func(context.Context, *sql.Tx) error{write, marked} {
		s := new(server).says("exec", io.EOF)
		err := reboundsql.InTx(t.Context(), s.database(t), p, nil, fn)
		check(t, s, err, "1:open 1:begin 1:exec 1:rollback 1:ping 1:begin 1:exec 1:commit", "")
	}
	s := new(server).says("SELECT", errWire, errWire)
	_, err := reboundsql.Query(t.Context(), s.database(t), p, nil, number, "SELECT")
	check(t, s, err, "1:open 1:SELECT 1:SELECT 1:SELECT 1:row 1:row 1:row", "")

	s = new(server).says("commit", errWire)
	err = reboundsql.InTx(t.Context(), s.database(t), p, nil, write)
	check(t, s, err, "1:open 1:begin 1:exec 1:commit", rebound.NotRetryable)
	if !errors.Is(err, reboundsql.ErrOutcomeUnknown) {
		t.Errorf("%v does not match ErrOutcomeUnknown", err)
	}
}

// The retries of a policy with its own classifier are charged to that policy's budget.
func TestClassifierKeepsBudget(t *testing.T) {
	p := &rebound.Policy{Attempts: 2, NonIdempotent: true, Classify: fault.Of,
		Backoff: backoff.Constant(time.Nanosecond)}
	before := p.RetryBudget().Level()
	s := new(server).says("exec", io.EOF, io.EOF)
	err := reboundsql.InTx(t.Context(), s.database(t), p, nil, write)
	check(t, s, err, "1:open 1:begin 1:exec 1:rollback 1:ping 1:begin 1:exec 1:rollback",
		rebound.Exhausted)
	if spent := before - p.RetryBudget().Level(); spent > 1 || spent < 0.5 { // time refills it
		t.Errorf("a retry cost %v tokens, want 1", spent)
	}
}

// A function that marks a violation as permanent overrides RetryUnique.
func TestMarkOutranksRetryUnique(t *testing.T) {
	s := new(server).says("exec", state("23505"))
	o := &reboundsql.Options{RetryUnique: true}
	err := reboundsql.InTx(t.Context(), s.database(t), quick(3), o,
		func(ctx context.Context, tx *sql.Tx) error { return rebound.Permanent(write(ctx, tx)) })
	check(t, s, err, "1:open 1:begin 1:exec 1:rollback", rebound.NotRetryable)
}

func TestPanicAndGoexitRollBack(t *testing.T) {
	for name, leave := range map[string]func(){
		"panic":  func() { panic("out of here") },
		"goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{}
			db := s.database(t)
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				_ = reboundsql.InTx(context.Background(), db, nil, nil,
					func(context.Context, *sql.Tx) error {
						leave()
						return nil
					})
			}()
			got := <-done
			if want := name == "panic"; (got == "out of here") != want {
				t.Errorf("recovered %v", got)
			}
			check(t, s, nil, "1:open 1:begin 1:rollback", "")
		})
	}
}

// A function that ends its transaction cannot be repeated: it may have committed.
func TestEndingTheTransactionIsNotForTheClosure(t *testing.T) {
	for name, fn := range map[string]func(tx *sql.Tx) error{
		"commits":                func(tx *sql.Tx) error { return tx.Commit() },
		"commits and then fails": func(tx *sql.Tx) error { return errors.Join(tx.Commit(), io.EOF) },
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{}
			err := reboundsql.InTx(t.Context(), s.database(t), quick(3), nil,
				func(_ context.Context, tx *sql.Tx) error { return fn(tx) })
			check(t, s, err, "1:open 1:begin 1:commit", rebound.NotRetryable)
			if errors.Is(err, reboundsql.ErrOutcomeUnknown) {
				t.Errorf("%v matches ErrOutcomeUnknown, want it not to", err)
			}
		})
	}
}

func TestErrorsOfTheClosureComeThrough(t *testing.T) {
	mine := errors.New("not enough money")
	s := &server{}
	err := reboundsql.InTx(t.Context(), s.database(t), quick(3), nil,
		func(context.Context, *sql.Tx) error { return rebound.Permanent(mine) })
	check(t, s, err, "1:open 1:begin 1:rollback", rebound.NotRetryable)
	var e *rebound.Error
	if !errors.Is(err, mine) || !errors.As(err, &e) || e.Attempts != 1 {
		t.Errorf("got %v, want the closure's error in a *rebound.Error of one attempt", err)
	}
}

// A lost connection is probed once: a later failure that is not about connections costs no probe.
func TestLossIsForgotten(t *testing.T) {
	for _, row := range []struct {
		loss error
		want string // of each attempt
	}{
		{io.EOF, "1:open 1:begin 1:exec 1:rollback 1:ping 1:begin 1:exec 1:rollback " +
			"1:begin 1:exec 1:commit"},
		{state("25006"), "1:open 1:begin 1:exec 1:rollback 2:open 2:ping 2:begin 2:exec 2:rollback " +
			"2:begin 2:exec 2:commit"},
	} {
		s := new(server).says("exec", row.loss, state("40001"))
		err := reboundsql.InTx(t.Context(), s.database(t), quick(3), nil, write)
		check(t, s, err, row.want, "")
	}
}
