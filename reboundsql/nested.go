package reboundsql

import (
	"context"
	"strings"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/errtree"
)

// inside is the context of a function that runs in a transaction. It shows InTxOf that a call may
// be a savepoint.
type inside struct{ context.Context }

type insideKey struct{}

// Value returns true for insideKey, and otherwise the value of the attempt's context.
func (c *inside) Value(key any) any {
	if key == (insideKey{}) {
		return true
	}
	return c.Context.Value(key)
}

// inSavepoint returns a copy of p for a call inside a transaction, which may be a savepoint. The
// copy does not retry a failure that has ended the whole transaction. The error keeps its kind, so
// that the transaction is retried. The copy draws on p's budget.
func inSavepoint(p *rebound.Policy) *rebound.Policy {
	q := withBudgetOf(p)
	q.RetryIf = func(f fault.Fault) bool {
		first := rebound.State{Attempt: 1}
		return !endsTransaction(f.Err) && p.Decide(first, f).Reason != rebound.NotRetryable
	}
	return q
}

// withBudgetOf returns a copy of p that draws on the budget of p.
func withBudgetOf(p *rebound.Policy) *rebound.Policy {
	q := p.Clone()
	if b := p.RetryBudget(); b != nil {
		q.Budget = b
	}
	return q
}

// endsTransaction reports whether no savepoint can be retried after err.
func endsTransaction(err error) bool {
	return isConflict(err) || isReadOnly(err) || fault.IsConnection(err)
}

// isConflict reports whether a transaction lost a conflict with another one, so that the whole
// transaction must be retried. Class 40 of SQLSTATE is "transaction rollback".
func isConflict(err error) bool {
	detail := fault.Of(err).Detail
	switch detail {
	case "mysql 1020", "mysql 1213", "mysql 1613", "mysql 1614", "mysql 3101",
		"mysql 8002", "mysql 8005", "mysql 8022", "mysql 8027", "mysql 8028", "mysql 9007",
		"mssql 1205", "mssql 3960", "mssql 3961",
		"mssql 41301", "mssql 41302", "mssql 41305", "mssql 41325",
		"oracle 8177", "sqlite 517":
		return true
	}
	return strings.HasPrefix(detail, "sqlstate 40")
}

// conflictBelow reports whether err is from an inner call of InTxOf that lost a conflict. The inner
// call may be a savepoint even if its context does not show that.
func conflictBelow(err error) bool {
	return errtree.Find(err, func(e error) bool {
		a, ok := e.(*annotated)
		return ok && a.part
	}) != nil
}
