package fault

import (
	"reflect"
	"strconv"
)

// readOracle reads the error of go-ora by its field ErrCode, and the error of godror by its method
// Code.
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

// isOracle checks the name, because SQLite's drivers have a method Code as well. oraerr is the
// package of godror.
func isOracle(t reflect.Type) bool { return mentions(t, "oraerr") || mentions(t, "oracle") }

// oracle is the meaning of ORA-number. Unlisted numbers are the server's answers to wrong
// statements, which fail again.
func oracle(number int) finding {
	// Drivers use their error type with number 0 for their own failures.
	if number == 0 {
		return finding{}
	}
	f, listed := oracleNumbers[number]
	if !listed {
		f = rejected
	}
	f.detail = "oracle " + strconv.Itoa(number)
	return f
}

// oracleNumbers are from "Oracle Database Error Messages".
var oracleNumbers = map[int]finding{
	// Conflicts between transactions. The statement was rolled back, and the transaction may run
	// again.
	51:    locked, // timeout waiting for a resource
	54:    locked, // busy, with NOWAIT
	60:    locked, // deadlock
	104:   locked, // deadlock of processes
	1555:  locked, // snapshot too old
	1591:  locked, // a lock is held by a distributed transaction in doubt
	2049:  locked, // timeout of a distributed lock
	4020:  locked, // deadlock of library objects
	4021:  locked, // timeout waiting for a library object
	8176:  locked, // no consistent read
	8177:  locked, // cannot serialize
	30006: locked, // busy, after WAIT

	// These depend on the session, which the next attempt's connection does not share.
	4061:  locked, // the state of a package is gone
	4068:  locked,
	16000: locked, // read-only: a standby
	16456: locked, // a switchover is under way

	// A limit of the instance is reached. The server rejected the session or the cursor, so nothing
	// was carried out.
	18:   full, // sessions
	20:   full, // processes
	1000: full, // cursors

	// The listener has not passed the connection on, so no statement was sent.
	12514: unsent, // the listener does not know the service, yet
	12516: unsent, // no handler
	12519: unsent,
	12520: unsent,
	12528: unsent, // instance blocks new connections
	12541: unsent, // no listener

	// The session ended, perhaps in the middle of a statement. The server may have carried out the
	// statement before the session ended. Even a COMMIT may be in doubt.
	28:    gone, // session was killed
	1012:  gone, // not logged on
	1033:  gone, // starting up or shutting down
	1034:  gone, // not available
	1089:  gone, // shutdown
	1090:  gone,
	1092:  gone, // instance terminated
	2396:  gone, // idle for too long
	3113:  gone, // end of file on the communication channel
	3114:  gone, // not connected
	3135:  gone, // lost contact
	3136:  gone, // connecting took too long
	12170: gone,
	12537: gone, // closed
	12547: gone, // lost contact
	12570: gone,
	12571: gone,
	17002: gone, // no connection
	17410: gone,
	17447: gone,
	25401: gone, // failover
	25402: gone,
	25405: gone,
	25408: gone,

	1013: {rank: fact, kind: Transient, flags: timeout}, // canceled, as after a timeout
}
