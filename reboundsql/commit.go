package reboundsql

import (
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
)

// ErrOutcomeUnknown is matched by the error of a call whose effect may be there or not: a COMMIT,
// or a statement that commits by itself, failed in such a way that the server may have carried it
// out. The caller has to find out, or to live with either.
var ErrOutcomeUnknown = errors.New(
	"reboundsql: it is not known whether the transaction was committed")

// annotated adds what this package knows to an error. Policies get one only when another attempt is
// safe, so its fault is NotDone.
type annotated struct {
	err   error
	kind  fault.Kind // Unknown = that of err
	doubt bool       // matches ErrOutcomeUnknown
}

func (a *annotated) Error() string {
	if a.doubt {
		return "commit in doubt: " + a.err.Error()
	}
	return a.err.Error()
}

func (a *annotated) Unwrap() error { return a.err }

// Is makes an error in doubt match ErrOutcomeUnknown.
func (a *annotated) Is(target error) bool { return a.doubt && target == ErrOutcomeUnknown }

// DescribeFault gives fault.Of what was added; see informed for other classifiers.
func (a *annotated) DescribeFault() fault.Fault {
	f := fault.Of(a.err)
	if a.kind != fault.Unknown {
		f.Kind = a.kind
	}
	f.Sent = fault.NotDone
	return f
}

// informed is p, and adds NotDone to what a classifier of p returns, which need not ask an error to
// describe itself. The budget stays that of p.
func informed(p *rebound.Policy) *rebound.Policy {
	if p.Classify == nil || !p.NonIdempotent {
		return p
	}
	q := p.Clone()
	q.Classify = func(err error) fault.Fault {
		f := p.Classify(err)
		f.Sent = fault.NotDone
		return f
	}
	if b := p.RetryBudget(); b != nil {
		q.Budget = b
	}
	return q
}

// annotate wraps err so that a mark on it stays one.
func annotate(err error, a annotated) error {
	a.err = err
	if mark.On(err) {
		f := fault.Of(err)
		return mark.New(&a, f.Kind, f.After)
	}
	return &a
}

// undone says of err that the server has not done what failed with it, or has undone it.
func undone(err error) error { return annotate(err, annotated{}) }

// doubtful says of err, the failure of an attempt, that something may have been carried out in this
// attempt or in an earlier one.
func doubtful(err error, kind fault.Kind) error {
	return annotate(err, annotated{doubt: true, kind: kind})
}

// uncertain reports whether err, of a COMMIT, leaves open what the server has done. Only a server
// that answered, and database/sql itself, are believed that nothing was: drivers that say they have
// sent nothing, or that their connection is bad, cannot be relied on; see wary.
func uncertain(p *rebound.Policy, err error) bool {
	switch {
	case errors.Is(err, driver.ErrBadConn):
		return true
	case fault.Of(err).Sent == fault.NotDone, inFailedTx(err),
		strings.HasPrefix(err.Error(), "sql: "):
		return false
	}
	return p.Classify == nil || p.Classify(err).Sent != fault.NotDone
}

// inFailedTx reports whether a COMMIT was answered with a rollback because a statement before it
// had failed, which fn kept to itself. Drivers have no code for that: these are the texts of pgx
// and of lib/pq.
func inFailedTx(err error) bool {
	text := err.Error()
	return strings.Contains(text, "commit unexpectedly resulted in rollback") ||
		strings.Contains(text, "ould not complete operation in a failed transaction")
}

// isUnique reports whether err is the violation of a unique or exclusion constraint.
func isUnique(err error) bool {
	switch fault.Of(err).Detail {
	case "sqlstate 23505", "sqlstate 23P01", "mysql 1062", "mysql 1586",
		"sqlite 1555", "sqlite 2067", "sqlite 2579", // of a primary key, an index, a rowid
		"mssql 2601", "mssql 2627", "oracle 1":
		return true
	}
	return false
}

// isReadOnly reports whether a server refused to write, as one does that was the primary before a
// failover.
func isReadOnly(err error) bool {
	switch fault.Of(err).Detail {
	case "sqlstate 25006", "mysql 1290", "mysql 1792", "mysql 1836", "mysql 3100", "mssql 3906",
		"oracle 16000":
		return true
	}
	return false
}

// isHalfDone reports whether CockroachDB says that it has committed a transaction, but failed to
// change the schema as that asked for, in whole or in part.
func isHalfDone(err error) bool { return fault.Of(err).Detail == "sqlstate XXA00" }

// loss is what a failure says of connections other than its own.
type loss uint8

const (
	nothingLost loss = iota
	maybeStale       // a connection broke: others may have broken with it
	wrongServer      // the server became read-only: all others lead there, too
)

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
