package fault

import (
	"reflect"
	"strconv"
)

// Every error code of a database server has one of these meanings. All vendors share them, so that
// equal failures have equal faults.
var (
	locked   = finding{rank: fact, kind: Transient, sent: NotDone} // rolled back; the next may win
	full     = finding{rank: fact, kind: Overloaded, sent: NotDone}
	gone     = finding{rank: fact, kind: Transient, flags: connection}
	passes   = finding{rank: fact, kind: Transient}
	rejected = finding{rank: fact, kind: Permanent, sent: NotDone}
	broken   = finding{rank: fact, kind: Permanent} // damaged, perhaps after the fact
	unlisted = finding{rank: hint, kind: Unknown}
)

// readMySQL reads the error of go-sql-driver/mysql, which has a number and an SQLSTATE. The number
// decides first, because most of MySQL's errors share the state HY000.
func readMySQL(t reflect.Type) reader {
	// MariaDB, TiDB and Vitess speak the same protocol, so their errors come from the same driver.
	num := fieldOf(t, "Number", is[uint16])
	state := fieldOf(t, "SQLState", is[[5]byte])
	if num == nil || state == nil && !mentions(t, "mysql") {
		return nil
	}
	return func(err error) finding {
		// Older versions of the driver have no state. For those the package must be named after MySQL.
		var s [5]byte
		if v := state.of(err); v.IsValid() {
			s, _ = v.Interface().([5]byte)
		}
		n := num.number(err)
		// No server sends 0; the error has another meaning, which its text or cause must show.
		if n == 0 {
			return finding{}
		}
		f, listed := mySQL[n]
		if !listed {
			f = unlistedMySQL(n, string(s[:]))
		}
		f.detail = "mysql " + strconv.Itoa(n)
		return f
	}
}

// mySQL are the numbers of MySQL and its relatives that have their own meaning for a client. Most
// of them have the SQLSTATE HY000, which means nothing.
var mySQL = map[int]finding{
	// Conflicts between transactions. The server has rolled back the statement or the transaction.
	1205: locked, // lock wait timeout; the statement was rolled back
	1213: locked, // deadlock, and in Galera a lost certification
	1412: locked, // the table's definition has changed: please retry transaction
	1613: locked, // XA branch rolled back: it took too long
	1614: locked, // deadlock in an XA branch
	3058: locked, // deadlock of user-level locks
	3101: locked, // another member of the group was first
	3572: locked, // lock not available, with NOWAIT
	1020: locked, // MariaDB: record has changed since last read in a snapshot
	1317: locked, // query interrupted
	1969: locked, // MariaDB: over max_statement_time
	3024: locked, // over max_execution_time
	8002: locked, // TiDB: write conflict of SELECT FOR UPDATE
	8005: locked, // TiDB: write conflict
	8022: locked, // TiDB: the commit failed and is safe to retry
	8027: locked, // TiDB: information schema is out of date
	8028: locked, // TiDB: information schema has changed
	9007: locked, // TiDB: write conflict

	// These depend on the session, which the next attempt's connection does not share.
	1243: locked, // unknown prepared statement: of another connection of a proxy
	1615: locked, // prepared statement needs to be prepared again
	1290: locked, // read-only: a failover, and another server is the primary now
	1792: locked, // read-only transaction
	1836: locked, // read-only mode
	3100: locked, // the group's plugin rejects writes

	// No room. TiDB's stores may have taken part of a transaction before, so they prove nothing.
	1040: full,                           // too many connections
	1203: full,                           // too many connections of the user
	1226: full,                           // another limit of the user
	1637: full,                           // too many transactions
	9003: {rank: fact, kind: Overloaded}, // TiKV is busy
	9013: {rank: fact, kind: Overloaded}, // TiFlash is busy

	// No connection was made. 2002 and 2003 are the client library's, which some proxies pass on.
	1042: unsent, // no connection
	2002: unsent,
	2003: unsent,

	// The connection ended, perhaps in the middle of a statement.
	1053: gone, // shutdown
	1927: gone, // MariaDB: connection was killed
	2006: gone, // gone away
	2013: gone, // lost during the query
	3169: gone, // session was killed
	4031: gone, // disconnected for inactivity

	// A part of a distributed database was out of reach; another part may have acted.
	9001: passes, // TiDB: its placement driver timed out; ProxySQL: no connection in time
	9002: passes, // TiKV timed out
	9004: passes, // locks could not be resolved in time
	9005: passes, // a region is unavailable
	9006: passes, // TiDB: the transaction lasted longer than garbage collection allows
	9012: passes, // TiFlash timed out
}

// unlistedMySQL is the meaning of any other number, by its SQLSTATE. MySQL's own numbers end below
// 5000; higher ones belong to its relatives.
func unlistedMySQL(number int, state string) finding {
	// A state other than "any error" has the same meaning for all relatives.
	f := sqlState(state, "")
	switch {
	// A state of a passing failure decides for every number.
	case f.kind == Transient || f.kind == Overloaded:
		return f
	case number >= 5000 || number == 1105: // 1105: unknown error; Vitess wraps any failure in it
		return unlisted
	// MySQL itself answers with its numbers only after it has abandoned the statement.
	case f.rank == nothing:
		return rejected
	}
	return f
}
