package reboundsql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundsql"
)

// MySQLError, OracleError, mssqlError and sqliteError are like the drivers' errors.
type MySQLError struct {
	Number   uint16
	SQLState [5]byte
}

func mysql(number uint16, state string) error {
	e := &MySQLError{Number: number}
	copy(e.SQLState[:], state)
	return e
}

func (e *MySQLError) Error() string { return fmt.Sprintf("Error %d (%s): …", e.Number, e.SQLState) }

type OracleError struct{ ErrCode int }

func (e *OracleError) Error() string { return fmt.Sprintf("ORA-%05d: …", e.ErrCode) }

type mssqlError int32

func (e mssqlError) Error() string         { return fmt.Sprintf("mssql: error %d", int32(e)) }
func (e mssqlError) SQLErrorNumber() int32 { return int32(e) }

type sqliteError int

func (e sqliteError) Error() string { return "sqlite error" }
func (e sqliteError) Code() int     { return int(e) }

// outcomes list what an answer proves after a COMMIT, and after a statement that commits by itself.
var outcomes = []struct {
	err               error
	commit, statement bool // certainly nothing was done
}{
	{state("40001"), true, true},
	{state("40P01"), true, true},
	{state("40002"), true, true},
	{state("40003"), false, false},
	{state("22012"), true, true},
	{state("23505"), true, true},
	{state("23P01"), true, true},
	{state("25006"), true, true},
	{state("25P02"), true, true},
	{state("25P03"), true, true},
	{state("53100"), true, true},
	{state("53300"), true, true},
	{state("55P03"), true, true},
	{state("57014"), true, true},
	{state("P0001"), true, true},
	{state("P0002"), false, true},
	{state("42601"), false, true},
	{state("42P01"), false, true},
	{state("0A000"), false, true},
	{state("26000"), false, true},
	{state("08006"), false, false},
	{state("08P01"), false, false},
	{state("57P01"), false, false},
	{state("57P03"), false, false},
	{state("57P05"), false, false},
	{state("58000"), false, false},
	{state("58030"), false, false},
	{state("XX000"), false, false},
	{state("XX001"), false, false},
	{state("XXA00"), false, false},
	{state("HV000"), false, false},
	{state("HY000"), false, false},
	{state("99999"), false, false},
	{state("40"), false, false},
	{mysql(1213, "40001"), true, true},
	{mysql(1205, "HY000"), true, true},
	{mysql(1020, "HY000"), true, true},
	{mysql(1062, "23000"), true, true},
	{mysql(1290, "HY000"), true, true},
	{mysql(1792, "25006"), true, true},
	{mysql(8022, "HY000"), true, true}, // TiDB: the commit failed and was rolled back
	{mysql(9007, "HY000"), true, true},
	{mysql(1064, "42000"), false, true},
	{mysql(1406, "22001"), false, true},
	{mysql(1364, "HY000"), false, true},
	{mysql(1105, "HY000"), false, false}, // Vitess has lost its tablet
	{mysql(1180, "HY000"), false, false},
	{mysql(1317, "70100"), false, false},
	{mysql(1969, "70100"), false, false},
	{mysql(3024, "HY000"), false, false},
	{mysql(1030, "HY000"), false, false},
	{mysql(1053, "08S01"), false, false},
	{mysql(2013, "HY000"), false, false},
	{mysql(8229, "HY000"), false, false},
	{mysql(9001, "HY000"), false, false},
	{mysql(9005, "HY000"), false, false},
	{mysql(12345, "42000"), false, false},
	{sqliteError(5), true, true},
	{sqliteError(517), true, true},
	{sqliteError(2067), true, true},
	{sqliteError(1), false, true},
	{sqliteError(10), false, false},
	{sqliteError(1034), false, false}, // fsync failed
	{sqliteError(11), false, false},
	{mssqlError(1205), true, true},
	{mssqlError(3960), true, true},
	{mssqlError(2627), true, true},
	{mssqlError(208), false, true},
	{mssqlError(4060), false, false},
	{mssqlError(40613), false, false},
	{mssqlError(50000), false, false},
	{&OracleError{60}, true, true},
	{&OracleError{8177}, true, true},
	{&OracleError{2091}, true, true},
	{&OracleError{942}, false, true},
	{&OracleError{1}, true, true},
	{&OracleError{3113}, false, false},
	{&OracleError{3135}, false, false},
	{&OracleError{2054}, false, false}, // a distributed transaction is in doubt
	{driver.ErrBadConn, false, false},
	{sql.ErrConnDone, false, false},
	{io.EOF, false, false},
	{context.DeadlineExceeded, false, false},
	{syscall.ECONNREFUSED, false, false},
	{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, false, false}, // a driver that reconnects
	{safe{}, false, false},
	{errors.New("sql: Scan called without calling Next"), false, false}, // a driver's own text
	{errors.New("sql: the answer got lost"), false, false},
	{errors.New("sql: converting argument $1 type: unsupported type"), false, true},
	{errors.New("commit unexpectedly resulted in rollback"), true, true},
	{fmt.Errorf("commit: %w", state("40001")), true, true},
	{errors.Join(state("40001"), state("23505")), true, true},
	{errors.Join(state("40001"), io.EOF), false, false},
	{errors.Join(io.EOF, state("40001")), false, false},
	{fmt.Errorf("%w, then %w", state("40001"), state("58000")), false, false},
	{(*MySQLError)(nil), false, false},
}

// cyclic is an error that wraps itself.
type cyclic struct{}

func (cyclic) Error() string     { return "cyclic" }
func (c cyclic) Unwrap() []error { return []error{state("40001"), c} }

// safe is pgx's claim that nothing was sent.
type safe struct{}

func (safe) Error() string     { return "conn closed" }
func (safe) SafeToRetry() bool { return true }

// lie is a policy whose classifier returns what fault.Of returns for statements inside
// transactions.
func lie() *rebound.Policy {
	p := quick(2)
	p.Classify = fault.First(fault.Of)
	return p
}

func TestWhatACommitProves(t *testing.T) {
	for _, c := range outcomes {
		for name, p := range map[string]*rebound.Policy{"": quick(2), " with Classify": lie()} {
			s := new(server).says("commit", c.err, c.err)
			err := reboundsql.InTx(t.Context(), s.database(t), p, nil, write)
			if got := !errors.Is(err, reboundsql.ErrOutcomeUnknown); got != c.commit {
				t.Errorf("%T %v%s: certain: %v, want %v: %v", c.err, c.err, name, got, c.commit, err)
			}
			if s.times("commit") != 1 && !c.commit {
				t.Errorf("%T %v%s: %d COMMITs in doubt", c.err, c.err, name, s.times("commit"))
			}
		}
	}
}

func TestWhatAStatementProves(t *testing.T) {
	for _, c := range outcomes {
		for name, p := range map[string]*rebound.Policy{"": quick(2), " with Classify": lie()} {
			s := new(server).says("exec", c.err, c.err)
			_, err := reboundsql.Exec(t.Context(), s.database(t), p, nil, "exec")
			if got := !errors.Is(err, reboundsql.ErrOutcomeUnknown); got != c.statement {
				t.Errorf("%T %v%s: certain: %v, want %v: %v", c.err, c.err, name, got, c.statement, err)
			}
			if s.times("exec") != 1 && !c.statement {
				t.Errorf("%T %v%s: %d statements in doubt", c.err, c.err, name, s.times("exec"))
			}
		}
	}
}

// A classifier that proves more than fault.Of decides.
func TestClassifierProves(t *testing.T) {
	p := quick(2)
	p.Classify = func(err error) fault.Fault {
		return fault.Fault{Kind: fault.Transient, Sent: fault.NotDone, Err: err}
	}
	s := new(server).says("commit", errWire)
	err := reboundsql.InTx(t.Context(), s.database(t), p, nil, write)
	check(t, s, err, "1:open 1:begin 1:exec 1:commit 1:begin 1:exec 1:commit", "")
}

// Errors that are nil pointers reach the caller, wherever they come from.
func TestTypedNilErrors(t *testing.T) {
	var null *MySQLError
	for _, word := range []string{"open", "begin", "exec", "commit", "rollback"} {
		s := new(server).says(word, null, null, null, null, null, null)
		if word == "rollback" {
			s.says("exec", state("42601"))
		}
		if err := reboundsql.InTx(t.Context(), s.database(t), quick(2), nil, write); err == nil {
			t.Errorf("%s: got nil, want an error", word)
		}
		s = new(server).says("exec", null, null).says("ping", null)
		_, err := reboundsql.Exec(t.Context(), s.database(t), quick(2), nil, "exec")
		if err == nil || strings.Contains(err.Error(), "PANIC") {
			t.Errorf("%s: got %v, want an error with a text", word, err)
		}
	}
	o := &reboundsql.Options{Applied: func(context.Context) (bool, error) { return false, null }}
	s := new(server).says("commit", null)
	err := reboundsql.InTx(t.Context(), s.database(t), quick(2), o, write)
	if !errors.Is(err, reboundsql.ErrOutcomeUnknown) || strings.Contains(err.Error(), "PANIC") {
		t.Errorf("got %v, want an outcome that is unknown", err)
	}
}

// The same without database/sql, which panics by itself for some of them.
func TestTypedNilErrorsOfAnyTx(t *testing.T) {
	var null *net.OpError
	for name, tx := range map[string]native{
		"fn": {}, "commit": {commit: null}, "rollback": {rollback: null},
		"both": {commit: null, rollback: null}, "cyclic": {commit: cyclic{}},
	} {
		var log []string
		tx.log = &log
		begin := func(context.Context) (native, error) { return tx, nil }
		err := reboundsql.InTxOf(t.Context(), begin, quick(2), nil,
			func(context.Context, native) error {
				if name == "fn" || name == "rollback" {
					return null
				}
				return nil
			})
		if err == nil || strings.Contains(err.Error(), "PANIC") {
			t.Errorf("%s: got %v, want an error with a text", name, err)
		}
		// errors.Is, of the standard library, would not survive a cycle or a nil pointer.
		if got, want := strings.Contains(err.Error(), "in doubt"), tx.commit != nil; got != want {
			t.Errorf("%s: got %v, want it in doubt: %v", name, err, want)
		}
	}
}
