package fault_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// pgError is like those of pgx and lib/pq.
type pgError struct{ Code, Message string }

func (e *pgError) Error() string    { return "ERROR: " + e.Message + " (SQLSTATE " + e.Code + ")" }
func (e *pgError) SQLState() string { return e.Code }

// ConnectError is like pgx's, which has one error for each address tried.
type ConnectError struct {
	Config *int
	err    error
}

func (e *ConnectError) Error() string { return "failed to connect" }
func (e *ConnectError) Unwrap() error { return e.err }

// pgUnsent is like pgx's errors from before anything was sent.
type pgUnsent struct {
	safe bool
	err  error
}

func (e pgUnsent) Error() string     { return "failed to send" }
func (e pgUnsent) SafeToRetry() bool { return e.safe }
func (e pgUnsent) Unwrap() error     { return e.err }

// mysqlError is like go-sql-driver's.
type mysqlError struct {
	Number   uint16
	SQLState [5]byte
	Message  string
}

func (e *mysqlError) Error() string { return fmt.Sprintf("Error %d (%s)", e.Number, e.SQLState) }

func my(number uint16, state string) error {
	return &mysqlError{Number: number, SQLState: [5]byte([]byte(state))}
}

// sqliteError is like modernc's, mattnError like mattn's, and ncError like ncruces's.
type sqliteError struct{ code int }

func (e *sqliteError) Error() string { return "constraint failed" }
func (e *sqliteError) Code() int     { return e.code }

type (
	mattnCode     int
	mattnExtended int
	mattnError    struct {
		Code         mattnCode
		ExtendedCode mattnExtended
	}
)

func (e mattnError) Error() string { return "mattn" }

type (
	ncCode  uint16
	ncError struct{ code ncCode }
)

func (e *ncError) Error() string        { return "ncruces" }
func (e *ncError) Temporary() bool      { return e.code&0xff == 5 }
func (e *ncError) ExtendedCode() ncCode { return e.code }

// coded has the method of modernc's error, and nothing else that identifies it.
type coded struct {
	code int
	text string
}

func (e coded) Error() string { return e.text }
func (e coded) Code() int     { return e.code }

// mssqlError is like go-mssqldb's.
type mssqlError struct{ Number int32 }

func (e mssqlError) Error() string         { return "mssql" }
func (e mssqlError) SQLErrorNumber() int32 { return e.Number }

// OracleError is like go-ora's and OraErr like godror's.
type OracleError struct{ ErrCode int }

func (e *OracleError) Error() string { return "ORA-" + strconv.Itoa(e.ErrCode) }

type OraErr struct{ code int }

func (e *OraErr) Error() string { return "ORA-" + strconv.Itoa(e.code) }
func (e *OraErr) Code() int     { return e.code }

func pg(code string) error { return &pgError{Code: code} }

const (
	transient  = fault.Transient
	overloaded = fault.Overloaded
	permanent  = fault.Permanent
	unknown    = fault.Unknown

	maybe   = fault.MaybeDone
	notSent = fault.NotSent
	notDone = fault.NotDone
)

func TestSQLState(t *testing.T) {
	check(t, []row{
		{"serialization", pg("40001"), transient, notDone, "sqlstate 40001"},
		{"deadlock", pg("40P01"), transient, notDone, ""},
		{"old restart", pg("CR000"), transient, notDone, ""},
		{"unique", pg("23505"), permanent, notDone, ""},
		{"exclusion", pg("23P01"), permanent, notDone, ""},
		{"lock", pg("55P03"), transient, notDone, ""},
		{"in use", pg("55006"), transient, notDone, ""},
		{"too many connections", pg("53300"), overloaded, notDone, ""},
		{"disk full", pg("53100"), overloaded, notDone, ""},
		{"admin shutdown", pg("57P01"), transient, maybe, ""},
		{"crash shutdown", pg("57P02"), transient, maybe, ""},
		{"starting up", pg("57P03"), transient, notSent, ""},
		{"connection failure", pg("08006"), transient, maybe, ""},
		{"cannot connect", pg("08001"), transient, notSent, ""},
		{"connection rejected", pg("08004"), transient, notSent, ""},
		{"resolution unknown", pg("08007"), transient, maybe, ""},
		{"query canceled", pg("57014"), transient, notDone, ""},
		{"failed transaction", pg("25P02"), permanent, notDone, ""},
		{"io error", pg("58030"), permanent, maybe, ""},
		{"internal", pg("XX000"), permanent, maybe, ""},
		{"corrupted", pg("XX001"), permanent, maybe, ""},
		{"committed, schema change failed", pg("XXA00"), permanent, maybe, "sqlstate XXA00"},
		{"ambiguous", pg("40003"), transient, maybe, ""},
		{"ODBC timeout", pg("HYT00"), transient, maybe, ""},
		{"some other state of ODBC", pg("HYT10"), permanent, notDone, ""},
		{"no data", pg("02000"), fault.None, notDone, ""},
		{"success", pg("00000"), unknown, maybe, ""},
		{"empty", pg(""), unknown, maybe, ""},
		{"too short", pg("4000"), unknown, maybe, ""},
		{"lower case", pg("40p01"), unknown, maybe, ""},
		{"syntax", pg("42601"), permanent, notDone, ""},
	})
}

func TestSQLDrivers(t *testing.T) {
	refused := dial(sys("connect", refusedErrno))
	check(t, []row{
		{"no rows", sql.ErrNoRows, fault.None, notDone, ""},
		{"bad connection", driver.ErrBadConn, transient, maybe, "driver: bad connection"},
		{"transaction done", sql.ErrTxDone, permanent, notSent, ""},
		{"invalid connection", errors.New("invalid connection"), transient, maybe, ""},

		{"pgx connect", &ConnectError{err: errors.Join(refused, refused)}, transient, notSent, ""},
		{"pgx connect to a full server", &ConnectError{err: errors.Join(pg("53300"))},
			overloaded, notSent, "sqlstate 53300"},
		{"pgx connect, odd", &ConnectError{err: errors.New("odd")}, transient, notSent, "connect"},
		{"pgx unsent", pgUnsent{true, errors.New("odd")}, transient, maybe, "safe to retry"},
		{"pgx unsent timeout", pgUnsent{true, context.DeadlineExceeded},
			transient, maybe, "timeout"},
		{"pgx never connected", pgUnsent{true, refused}, transient, notSent, ""},
		{"pgx sent", pgUnsent{false, context.DeadlineExceeded}, transient, maybe, "timeout"},

		{"mattn busy", mattnError{Code: 5, ExtendedCode: 517}, transient, notDone, "sqlite 517"},
		{"mattn locked, no extended code", mattnError{Code: 6}, transient, notDone, "sqlite 6"},
		{"mattn constraint", &mattnError{19, 2067}, permanent, notDone, "sqlite 2067"},
		{"ncruces busy", &ncError{261}, transient, notDone, "sqlite 261"},
		{"ncruces full", &ncError{13}, permanent, notDone, "sqlite 13"},

		{"go-ora deadlock", &OracleError{60}, transient, notDone, "oracle 60"},
		{"godror unique", &OraErr{1}, permanent, notDone, "oracle 1"},
		{"oracle, no number", &OraErr{0}, unknown, maybe, ""},
	})
}

func TestSQLNumbers(t *testing.T) {
	check(t, []row{
		{"deadlock", my(1213, "40001"), transient, notDone, "mysql 1213"},
		{"lock wait", my(1205, "HY000"), transient, notDone, ""},
		{"group certification", my(3101, "40000"), transient, notDone, "mysql 3101"},
		{"too many connections", my(1040, "08004"), overloaded, notDone, ""},
		{"user limit", my(1226, "42000"), overloaded, notDone, ""},
		{"shutdown", my(1053, "08S01"), transient, maybe, ""},
		{"gone away", my(2006, "HY000"), transient, maybe, ""},
		{"read-only", my(1290, "HY000"), transient, notDone, ""},
		{"node not ready, by its state", my(1047, "08S01"), transient, maybe, "mysql 1047"},
		{"duplicate", my(1062, "23000"), permanent, notDone, ""},
		{"no state", my(1064, "\x00\x00\x00\x00\x00"), permanent, notDone, ""},
		{"no number", my(0, "HY000"), unknown, maybe, ""},

		{"busy", &sqliteError{5}, transient, notDone, "sqlite 5"},
		{"busy recovery", &sqliteError{261}, transient, notDone, ""},
		{"busy timeout", &sqliteError{773}, transient, notDone, ""},
		{"busy snapshot", &sqliteError{517}, transient, notDone, ""},
		{"locked", &sqliteError{6}, transient, notDone, ""},
		{"locked, shared cache", &sqliteError{262}, transient, notDone, ""},
		{"io error", &sqliteError{266}, permanent, maybe, ""},
		{"corrupt", &sqliteError{11}, permanent, maybe, ""},
		{"full", &sqliteError{13}, permanent, notDone, ""},
		{"cannot open", &sqliteError{14}, permanent, notDone, ""},
		{"row", &sqliteError{100}, unknown, maybe, ""},
		{"of an unknown type, with text", coded{5, "database is locked (5) (SQLITE_BUSY)"},
			transient, notDone, "sqlite 5"},
		{"of an unknown type, without", coded{5, "x"}, unknown, maybe, ""},
		{"of a low byte", coded{521, "order 521"}, unknown, maybe, ""},
		{"some other code", coded{19, "x"}, unknown, maybe, ""},

		{"deadlock", mssqlError{1205}, transient, notDone, "mssql 1205"},
		{"snapshot conflict", mssqlError{3960}, transient, notDone, ""},
		{"lock timeout", mssqlError{1222}, transient, notDone, ""},
		{"cannot open database", mssqlError{4060}, transient, notDone, ""},
		{"azure busy", mssqlError{40501}, overloaded, notDone, ""},
		{"azure limit", mssqlError{10928}, overloaded, notDone, ""},
		{"azure moved", mssqlError{40197}, transient, maybe, ""},
		{"transport", mssqlError{233}, transient, maybe, ""},
		{"duplicate", mssqlError{2627}, permanent, notDone, ""},
	})
}

// TestSQLWaits: an error of a database never has a Retry-After delay.
func TestSQLWaits(t *testing.T) {
	for _, err := range []error{pg("40001"), my(1213, "40001"), mssqlError{40501}} {
		if f := fault.Of(err); f.After != 0 || f.Final {
			t.Errorf("Of(%v): wait %v, final %v, want none", err, f.After, f.Final)
		}
	}
}

func FuzzSQLState(f *testing.F) {
	for _, s := range []string{"40001", "08006", "", "4000", "HYT00", "HYT10", "XXA00",
		"\x00\x00\x00\x00\x00", "öl"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := fault.Of(pg(s))
		if len(s) != 5 && got.Kind != unknown {
			t.Errorf("Of(%q) = %v, want unknown: no SQLSTATE has %d characters", s, got.Kind, len(s))
		}
		open := len(s) == 5 && strings.Contains("57 58 HV HY XX", s[:2])
		if got.Kind == permanent && got.Sent != notDone && !open {
			t.Errorf("Of(%q) = %v %v: a server that rejects has not acted", s, got.Kind, got.Sent)
		}
		between := len(s) == 5 && strings.Contains("08 58 XX HV", s[:2]) || s == "HY000"
		if got.Sent == notDone && between {
			t.Errorf("Of(%q) = not_done: it may come from something in between", s)
		}
		if got.Err == nil || got.After != time.Duration(0) {
			t.Errorf("Of(%q) = %+v, want its error and no wait", s, got)
		}
	})
}
