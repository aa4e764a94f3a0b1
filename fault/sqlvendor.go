package fault

import (
	"reflect"
	"strconv"
	"strings"
)

// What servers answer with a number instead of an SQLSTATE. Each list is that of the server's
// manual or of a driver's own idea of transient; a number that is on none is Permanent.
var (
	locked  = finding{rank: fact, kind: Transient, sent: NotDone} // rolled back, another may win
	full    = finding{rank: fact, kind: Overloaded, sent: NotDone}
	gone    = finding{rank: fact, kind: Transient, flags: connection}
	refused = finding{rank: fact, kind: Permanent, sent: NotDone}
)

// readMySQL reads go-sql-driver's error, which has its SQLSTATE in a field.
func readMySQL(t reflect.Type) reader {
	num := fieldOf(t, "Number", is[uint16])
	state := fieldOf(t, "SQLState", is[[5]byte])
	if num == nil || state == nil && !mentions(t, "mysql") {
		return nil
	}
	return func(err error) finding {
		var s [5]byte
		if v := state.of(err); v.IsValid() {
			s, _ = v.Interface().([5]byte)
		}
		return mySQL(num.number(err), string(s[:]))
	}
}

func mySQL(number int, state string) finding {
	f := refused
	switch number {
	case 0:
		return finding{}
	case 1213, 1614, // deadlock, also of an XA branch: the transaction was rolled back
		3101,       // another member of the group was first, as COMMIT found out: rolled back
		1205,       // lock wait timeout: the statement was
		1317, 3024, // interrupted, or over its time
		1290, 1836, 3100: // read-only: a failover, and another server is the primary now
		f = locked
	case 1040, 1203, 1226: // too many connections, a user's limits
		f = full
	case 1042: // cannot connect
		f = unsent
	case 1053, 1927, 2006, 2013: // shutdown, killed, gone away, lost
		f = gone
	default:
		if g := sqlState(state); g.rank != nothing {
			f = g
		}
	}
	f.detail = "mysql " + strconv.Itoa(number)
	return f
}

// readSQLite reads the error of modernc.org/sqlite by its method Code, that of ncruces by
// ExtendedCode, and that of mattn by its fields.
func readSQLite(t reflect.Type) reader {
	plain, ext := fieldOf(t, "Code", isInt), fieldOf(t, "ExtendedCode", isInt)
	m, ok := t.MethodByName("ExtendedCode")
	switch {
	case plain != nil && ext != nil:
		return func(err error) finding {
			if n := ext.number(err); n != 0 {
				return sqlite(n)
			}
			return sqlite(plain.number(err))
		}
	case ok && m.Type.NumIn() == 1 && m.Type.NumOut() == 1 && isInt(m.Type.Out(0)):
		return func(err error) finding {
			return sqlite(number(reflect.ValueOf(err).MethodByName("ExtendedCode").Call(nil)[0]))
		}
	case isInt(t) && mentions(t, "sqlite"): // ncruces: a code is an error
		return func(err error) finding { return sqlite(number(reflect.ValueOf(err))) }
	case has[interface{ Code() int }](t) && !isOracle(t):
		named := mentions(t, "sqlite")
		return func(err error) finding { return codeMethod(err, named) }
	}
	return nil
}

// codeMethod reads a method that errors of many kinds have: one that is not named after SQLite must
// have its text.
func codeMethod(err error, named bool) finding {
	if !named {
		text := strings.ToLower(err.Error())
		if !strings.Contains(text, "sqlite") && !strings.HasPrefix(text, "database is locked") &&
			!strings.HasPrefix(text, "database table is locked") {
			return finding{}
		}
	}
	return sqlite(err.(interface{ Code() int }).Code())
}

// sqlite is the meaning of a result code, plain or extended: the low byte says what kind of error
// it is. A busy snapshot (517) wants the whole transaction again, as any other does no harm.
func sqlite(number int) finding {
	f := refused
	switch number & 0xff {
	case 0, 100, 101: // fine, a row, done
		return finding{}
	case 5, 6, 9: // busy, locked, interrupted
		f = locked
	}
	f.detail = "sqlite " + strconv.Itoa(number)
	return f
}

// readSQLServer reads go-mssqldb's error.
func readSQLServer(t reflect.Type) reader {
	if !has[interface{ SQLErrorNumber() int32 }](t) {
		return nil
	}
	return func(err error) finding {
		return sqlServer(err.(interface{ SQLErrorNumber() int32 }).SQLErrorNumber())
	}
}

func sqlServer(number int32) finding {
	f := refused
	switch number {
	case 0:
		return finding{}
	case 1205, 1222, 1204, // deadlock, lock timeout, no lock to be had
		3960,                              // the snapshot is stale: rolled back
		41301, 41302, 41305, 41325, 41839, // conflicts of transactions in memory
		4060, 40613: // the database cannot be opened just now
		f = locked
	case 40501, 10928, 10929, 49918, 49919, 49920: // Azure is busy, or a limit is reached
		f = full
	case 20, 64, 121, 233, 10053, 10054, 10060, 40197: // the connection broke
		f = gone
	case -2: // the client's own timeout
		f = gone
		f.flags = timeout
	}
	f.detail = "mssql " + strconv.Itoa(int(number))
	return f
}

func isOracle(t reflect.Type) bool { return mentions(t, "oraerr") || mentions(t, "oracle") }

// readOracle reads the error of go-ora by its field ErrCode and that of godror by its method Code.
func readOracle(t reflect.Type) reader {
	errCode := fieldOf(t, "ErrCode", isInt)
	switch {
	case !isOracle(t):
		return nil
	case errCode != nil:
		return func(err error) finding { return oracle(errCode.number(err)) }
	case has[interface{ Code() int }](t):
		return func(err error) finding { return oracle(err.(interface{ Code() int }).Code()) }
	}
	return nil
}

func oracle(number int) finding {
	f := refused
	switch number {
	case 0:
		return finding{}
	case 54, 60, 8177: // locked, deadlock, cannot serialize
		f = locked
	case 17002, 17447: // no connection
		f = gone
	}
	f.detail = "oracle " + strconv.Itoa(number)
	return f
}
