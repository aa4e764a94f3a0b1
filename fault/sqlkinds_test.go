package fault_test

import (
	"testing"

	"github.com/rebound-go/rebound/fault"
)

// TestSessionState: the next attempt gets another connection, or a reset one, so a failure of the
// session passes. Nothing was done.
func TestSessionState(t *testing.T) {
	plan := &pgError{"0A000", "cached plan must not change result type"}
	check(t, []row{
		{"changed plan", plan, transient, notDone, "sqlstate 0A000"},
		{"not supported", pg("0A000"), permanent, notDone, ""},
		{"unknown statement", pg("26000"), transient, notDone, ""},
		{"statement of another client", pg("42P05"), transient, notDone, ""},
		{"read-only", pg("25006"), transient, notDone, ""},
		{"read-only, MySQL", my(1792, "25006"), transient, notDone, "mysql 1792"},
		{"read-only server", my(1290, "HY000"), transient, notDone, ""},
		{"read-only mode", my(1836, "HY000"), transient, notDone, ""},
		{"read-only, SQL Server", mssqlError{3906}, transient, notDone, ""},
		{"read-only, Oracle", &OracleError{16000}, transient, notDone, ""},
		{"unknown statement, MySQL", my(1243, "HY000"), transient, notDone, ""},
		{"to be prepared again", my(1615, "HY000"), transient, notDone, ""},
		{"schema changed", &sqliteError{17}, transient, notDone, ""},
		{"package state", &OracleError{4068}, transient, notDone, ""},
	})
}

// TestConflicts: another transaction won, and the next attempt may.
func TestConflicts(t *testing.T) {
	check(t, []row{
		{"MariaDB snapshot", my(1020, "HY000"), transient, notDone, "mysql 1020"},
		{"MariaDB statement time", my(1969, "70100"), transient, notDone, ""},
		{"definition changed", my(1412, "HY000"), transient, notDone, ""},
		{"no wait", my(3572, "HY000"), transient, notDone, ""},
		{"user locks", my(3058, "HY000"), transient, notDone, ""},
		{"TiDB write conflict", my(9007, "HY000"), transient, notDone, ""},
		{"TiDB old write conflict", my(8005, "HY000"), transient, notDone, ""},
		{"TiDB for update", my(8002, "HY000"), transient, notDone, ""},
		{"TiDB safe to retry", my(8022, "HY000"), transient, notDone, ""},
		{"TiDB schema", my(8028, "HY000"), transient, notDone, ""},
		{"TiKV busy", my(9003, "HY000"), overloaded, maybe, ""},
		{"TiKV timeout", my(9002, "HY000"), transient, maybe, ""},
		{"region unavailable", my(9005, "HY000"), transient, maybe, ""},
		{"SQLite protocol", &sqliteError{15}, transient, notDone, ""},
		{"snapshot too old", pg("72000"), transient, notDone, ""},
		{"snapshot too old, Oracle", &OracleError{1555}, transient, notDone, ""},
		{"cannot serialize", &OracleError{8177}, transient, notDone, ""},
	})
}

// TestOpenErrorSpace: an unlisted number or state proves nothing if any server may define it.
func TestOpenErrorSpace(t *testing.T) {
	none := "\x00\x00\x00\x00\x00"
	check(t, []row{
		{"Vitess", my(1105, "HY000"), unknown, maybe, "mysql 1105"},
		{"Vitess, no state", my(1105, none), unknown, maybe, ""},
		{"at commit", my(1180, "HY000"), unknown, maybe, ""},
		{"from the storage engine", my(1030, "HY000"), unknown, maybe, ""},
		{"above MySQL's", my(8229, "HY000"), unknown, maybe, ""},
		{"above MySQL's, no state", my(8229, none), unknown, maybe, ""},
		{"above MySQL's, odd state", my(12345, "42000"), unknown, maybe, ""},
		{"above MySQL's, by its state", my(12345, "40001"), transient, notDone, ""},
		{"ODBC", pg("HY000"), unknown, maybe, ""},
		{"duplicate", my(1062, "23000"), permanent, notDone, ""},
		{"check", my(3819, "23000"), permanent, notDone, ""},
		{"syntax", my(1064, "42000"), permanent, notDone, ""},
	})
}

// TestInBetween: an answer of a pooler, a proxy or a foreign server does not show what was done.
func TestInBetween(t *testing.T) {
	check(t, []row{
		{"pgcat", pg("58000"), transient, maybe, ""},
		{"Yugabyte", pg("XX000"), permanent, maybe, ""},
		{"index corrupted", pg("XX002"), permanent, maybe, ""},
		{"undefined file", pg("58P01"), permanent, maybe, ""},
		{"foreign server", pg("HV000"), permanent, maybe, ""},
		{"operator", pg("57000"), permanent, maybe, ""},
		{"user's exception", pg("P0001"), permanent, notDone, ""},
		{"disk, SQLite", &sqliteError{1290}, permanent, maybe, ""},
	})
}

// TestConnectionLost: the server has closed the connection, by itself or because the client was
// idle.
func TestConnectionLost(t *testing.T) {
	rows := []row{
		{"idle in transaction", pg("25P03"), transient, maybe, "sqlstate 25P03"},
		{"transaction timeout", pg("25P04"), transient, maybe, ""},
		{"idle session", pg("57P05"), transient, maybe, ""},
		{"inactivity", my(4031, "HY000"), transient, maybe, ""},
		{"killed", my(3169, "HY000"), transient, maybe, ""},
		{"by its state", my(1159, "08S01"), transient, maybe, ""},
		{"SQL Server, killed", mssqlError{596}, transient, maybe, ""},
		{"SQL Server, shutdown", mssqlError{6005}, transient, maybe, ""},
	}
	for _, n := range []int{28, 1012, 1033, 1034, 1089, 1092, 3113, 3114, 3135, 12537, 12571, 25408} {
		rows = append(rows, row{"go-ora", &OracleError{n}, transient, maybe, ""},
			row{"godror", &OraErr{n}, transient, maybe, ""})
	}
	check(t, rows)
	for _, r := range rows {
		if !fault.IsConnection(r.err) {
			t.Errorf("%s: %v: want one of a connection", r.name, r.err)
		}
	}
}
