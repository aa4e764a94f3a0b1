package reboundsql

import (
	"fmt"
	"strings"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/errtree"
)

// is is errors.Is for a target that is one value. It uses package errtree, which survives errors
// that panic or contain themselves.
func is(err, target error) bool {
	return errtree.Find(err, func(e error) bool { return e == target }) != nil
}

// textOf returns err's text, even if err is a nil pointer whose Error method panics.
func textOf(err error) string { return fmt.Sprint(err) }

// inFailedTx reports whether a COMMIT was answered with a rollback, because an earlier statement
// had failed and fn did not return its error. Drivers have no code for this. The texts are those of
// pgx and lib/pq.
func inFailedTx(err error) bool {
	return errtree.Find(err, func(e error) bool {
		text := textOf(e)
		return strings.HasSuffix(text, "commit unexpectedly resulted in rollback") ||
			strings.HasSuffix(text, "ould not complete operation in a failed transaction")
	}) != nil
}

// isUnique reports whether err is a violation of a unique or exclusion constraint.
func isUnique(err error) bool {
	switch fault.Of(err).Detail {
	case "sqlstate 23505", "sqlstate 23P01", "mysql 1062", "mysql 1586",
		"sqlite 1555", "sqlite 2067", "sqlite 2579", // of a primary key, an index, a rowid
		"mssql 2601", "mssql 2627", "oracle 1":
		return true
	}
	return false
}

// isReadOnly reports whether a server rejected a write because it is read-only, as the old primary
// does after a failover.
func isReadOnly(err error) bool {
	switch fault.Of(err).Detail {
	case "sqlstate 25006", "mysql 1792", "mysql 1836", "mysql 3100", "mssql 3906", "oracle 16000":
		return true
	// The server runs with some option, and most options have nothing to do with writing.
	case "mysql 1290":
		text := textOf(err)
		return strings.Contains(text, "read-only") || strings.Contains(text, "read_only")
	}
	return false
}

// isHalfDone reports whether CockroachDB has committed a transaction but failed, in whole or in
// part, to make the schema change that the transaction asked for.
func isHalfDone(err error) bool { return fault.Of(err).Detail == "sqlstate XXA00" }

// loss is what a failure shows about connections other than its own. A larger value is worse.
type loss uint8

const (
	nothingLost loss = iota
	maybeIdle        // nothing broke, but connections that were idle for long may be stale
	maybeStale       // a connection broke: others may have broken with it
	wrongServer      // the server became read-only: the other connections lead to it, too
)

// lossOf returns what err shows about the other connections of a pool.
func lossOf(err error) loss {
	switch {
	case isReadOnly(err):
		return wrongServer
	case fault.IsConnection(err):
		return maybeStale
	}
	if f := fault.Of(err); f.Kind == fault.Transient && f.Sent == fault.NotSent {
		return maybeStale
	}
	return nothingLost
}
