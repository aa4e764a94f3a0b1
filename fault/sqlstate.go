package fault

import (
	"reflect"
	"strings"
)

// readSQLState reads the SQLSTATE: the five characters that identify an error in the SQL standard,
// in PostgreSQL and in CockroachDB. The errors of pgx and lib/pq have the method.
func readSQLState(t reflect.Type) reader {
	if !has[interface{ SQLState() string }](t) {
		return nil
	}
	return func(err error) finding {
		return sqlState(err.(interface{ SQLState() string }).SQLState(), err.Error())
	}
}

// sqlState is the meaning of an SQLSTATE whose error has the given text. A server that answers with
// a state has rolled back the statement or the transaction. The exceptions are states that leave
// this open, and states that may come from something between the client and the server.
func sqlState(state, text string) finding {
	// Errors that never reached a server have an empty state, and unrelated types have a method of the
	// same name.
	if !isSQLState(state) {
		return finding{}
	}
	// A state that is not listed means that the statement is wrong, which no retry changes.
	f := finding{rank: fact, kind: Permanent, sent: NotDone, detail: "sqlstate " + state}
	switch state {
	// From appendix A of PostgreSQL's documentation. All of these were rolled back, and the next
	// transaction may succeed.
	case "40001", "CR000", "40P01", // serialization failure, its old name in CockroachDB, deadlock
		"55P03", "55006", "55000", // lock not available, object in use, or not in the right state
		"72000",          // snapshot too old
		"57014",          // canceled: by a statement timeout, since a caller's end is known before
		"26000", "42P05", // a prepared statement of another connection of the pooler
		"25006": // read-only: a failover, and another server is the primary now
		f.kind = Transient
	// Feature not supported: permanent, except for this one use of the state.
	case "0A000":
		if strings.Contains(text, "cached plan must not change result type") {
			f.kind = Transient // the connection prepares it again
		}
	case "HYT00", "HYT01": // ODBC's timeouts
		f.kind, f.sent, f.flags = Transient, MaybeDone, timeout
	case "HY000": // any error, of MySQL and its relatives
		f.rank, f.kind, f.sent = hint, Unknown, MaybeDone
	case "40003": // statement completion unknown; CockroachDB: the result is ambiguous
		f.kind, f.sent = Transient, MaybeDone
	case "58000": // system error; pgcat gives it to all its own errors
		f.kind, f.sent = Transient, MaybeDone
	// A server that ends the connection may have carried out the statement before.
	case "57P01", "57P02", "57P05", // shut down, crashed, idle for too long: connection gone
		"25P03", "25P04": // the transaction was idle, or lasted, for too long: connection gone
		f.kind, f.sent, f.flags = Transient, MaybeDone, connection
	// There was no session that could have received a statement.
	case "57P03", "08001", "08004": // starting up; no connection could be made
		f.kind, f.sent, f.flags = Transient, NotSent, connection
	default:
		f = sqlClass(f, state[:2])
	}
	return f
}

// sqlClass is the meaning of a state by its first two characters. The standard defines the classes,
// so a server's own states belong to one too. A class that is not listed here is about the
// statement, which would fail again.
func sqlClass(f finding, class string) finding {
	switch class {
	case "00", "01": // success, and warnings
		return finding{}
	case "02": // no data
		f.kind = None
	case "08": // the connection broke
		f.kind, f.sent, f.flags = Transient, MaybeDone, connection
	case "53": // out of memory, disk, connections
		f.kind = Overloaded
	// These may end a statement at any point, even after a part of it took effect elsewhere.
	case "57", "58", "HV", "XX": // operators, the system, foreign servers, internal errors
		f.sent = MaybeDone
	}
	return f
}

// isSQLState checks the form that the standard requires: five digits or upper case letters.
func isSQLState(s string) bool {
	if len(s) != 5 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// readPgx reads pgx's own errors: those of connecting, which wrap one error for each address tried,
// and those with the method SafeToRetry. That method also returns true for statements that were
// carried out, so it proves nothing.
func readPgx(t reflect.Type) reader {
	exists := func(reflect.Type) bool { return true }
	switch {
	case has[interface{ SafeToRetry() bool }](t):
		return func(err error) finding {
			if !err.(interface{ SafeToRetry() bool }).SafeToRetry() {
				return finding{}
			}
			return finding{rank: weak, kind: Transient, detail: "safe to retry"}
		}
	case base(t).Name() == "ConnectError" && fieldOf(t, "Config", exists) != nil:
		return func(error) finding {
			return finding{rank: weak, kind: Transient, reach: neverSent, flags: connection,
				detail: "connect"}
		}
	}
	return nil
}
