package fault

import (
	"reflect"
	"strconv"
)

// readSQLServer reads the error of go-mssqldb. No other library has a method of this name, so
// nothing else is checked.
func readSQLServer(t reflect.Type) reader {
	if !has[interface{ SQLErrorNumber() int32 }](t) {
		return nil
	}
	return func(err error) finding {
		n := err.(interface{ SQLErrorNumber() int32 }).SQLErrorNumber()
		if n == 0 {
			return finding{}
		}
		// The number alone decides. The error's state and class only describe where in the server it was
		// made and how severe it is.
		f, listed := sqlServer[n]
		if !listed {
			f = rejected
		}
		f.detail = "mssql " + strconv.Itoa(int(n))
		return f
	}
}

// sqlServer are from Microsoft's lists of database engine errors and of transient errors in Azure
// SQL Database. Unlisted numbers are answers to wrong statements, which fail again.
var sqlServer = map[int32]finding{
	// Conflicts between transactions. The server has rolled back the transaction, or the statement for
	// a lock timeout.
	1205: locked, // deadlock
	1204: locked, // no lock is free
	1222: locked, // lock timeout
	3960: locked, // the snapshot is stale
	3961: locked, // a table has changed since the snapshot

	// Conflicts of transactions in memory.
	41301: locked,
	41302: locked,
	41305: locked,
	41325: locked,
	41839: locked,

	// The database cannot be opened just now, or by this connection.
	976:   locked, // the replica is no primary
	978:   locked,
	979:   locked,
	983:   locked, // the replica is about to change its role
	3906:  locked, // read-only
	4060:  locked,
	18401: locked, // the server is being upgraded
	40613: locked,

	// No room: memory, workers, or what was paid for. The server rejected the statement before it ran.
	701:   full, // no memory
	802:   full,
	8645:  full,
	8651:  full,
	10928: full, // Azure: a limit is reached
	10929: full,
	40501: full, // Azure is busy
	49918: full,
	49919: full,
	49920: full,

	// The connection broke, or was killed. Whether the statement was carried out is not known.
	20:    gone,
	64:    gone,
	121:   gone,
	233:   gone,
	596:   gone,
	6005:  gone,
	10053: gone,
	10054: gone,
	10060: gone,
	40143: gone,
	40166: gone,
	40197: gone,
	40540: gone,

	-2: {rank: fact, kind: Transient, flags: connection | timeout}, // the client's own timeout
}
