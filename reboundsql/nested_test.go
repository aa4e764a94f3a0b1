package reboundsql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundsql"
)

// nest runs a transaction with a savepoint in it, whose function fails with errs, in order. It
// returns how often each began.
func nest(
	t *testing.T, p *rebound.Policy, own bool, errs ...error,
) (outer, inner int, err error) {
	t.Helper()
	var log []string
	begin := func(n *int) func(context.Context) (native, error) {
		return func(context.Context) (native, error) { *n++; return native{log: &log}, nil }
	}
	err = reboundsql.InTxOf(t.Context(), begin(&outer), p, nil,
		func(ctx context.Context, _ native) error {
			if !own {
				ctx = t.Context() // without a transaction
			}
			return reboundsql.InTxOf(ctx, begin(&inner), p, nil,
				func(context.Context, native) error {
					if len(errs) == 0 {
						return nil
					}
					err := errs[0]
					errs = errs[1:]
					return err
				})
		})
	return outer, inner, err
}

// A failure that ends the whole transaction is not retried in a savepoint. The whole transaction is
// retried.
func TestConflictInSavepoint(t *testing.T) {
	classified := quick(3)
	classified.Classify = func(err error) fault.Fault { return fault.Of(err) }
	picky := quick(3)
	picky.RetryIf = func(f fault.Fault) bool { return f.Kind == fault.Transient }
	for name, p := range map[string]*rebound.Policy{
		"plain": quick(3), "with Classify": classified, "with RetryIf": picky,
	} {
		for _, failure := range []error{
			state("40001"), state("40P01"), mysql(1213, "40001"), mysql(1020, "HY000"),
			mssqlError(1205), mssqlError(3960), &OracleError{8177}, sqliteError(517),
			state("25006"), io.ErrUnexpectedEOF, driver.ErrBadConn, state("57P01"), state("08006"),
		} {
			outer, inner, err := nest(t, p, true, failure)
			if outer != 2 || inner != 2 || err != nil {
				t.Errorf("%s: %v: %d transactions, %d savepoints, %v, want 2 of each and success",
					name, failure, outer, inner, err)
			}
		}
	}
}

func TestConflictInSavepointWithoutPolicy(t *testing.T) {
	outer, inner, err := nest(t, nil, true, state("40001"))
	if outer != 2 || inner != 2 || err != nil {
		t.Errorf("%d transactions, %d savepoints, %v, want 2 of each and success", outer, inner, err)
	}
}

// A savepoint that is not recognized as one retries without success, but that does not end the
// whole.
func TestConflictInHiddenSavepoint(t *testing.T) {
	for _, failure := range []error{state("40001"), mysql(1213, "40001"), sqliteError(517)} {
		outer, inner, err := nest(t, quick(3), false, failure, failure, failure)
		if outer != 2 || inner != 4 || err != nil {
			t.Errorf("%v: %d transactions, %d savepoints, %v, want 2, 4 and success",
				failure, outer, inner, err)
		}
	}
	// Other failures were retried to the end.
	outer, _, err := nest(t, quick(3), false, io.EOF, io.EOF, io.EOF)
	if outer != 1 || !errors.Is(err, rebound.AlreadyRetried) {
		t.Errorf("got %d transactions and %v, want one, already retried", outer, err)
	}
}

// A failure that a savepoint can undo is retried there. If the retries fail, it is final.
func TestFailureOfASavepointAlone(t *testing.T) {
	lock := state("55P03")
	outer, inner, err := nest(t, quick(3), true, lock, lock)
	if outer != 1 || inner != 3 || err != nil {
		t.Errorf("%d transactions, %d savepoints, %v, want 1, 3 and success", outer, inner, err)
	}
	outer, inner, err = nest(t, quick(3), true, lock, lock, lock)
	if outer != 1 || inner != 3 || !errors.Is(err, rebound.AlreadyRetried) {
		t.Errorf("%d transactions, %d savepoints, %v, want 1, 3 and an end", outer, inner, err)
	}
	outer, inner, err = nest(t, quick(3), true, state("42601"))
	if outer != 1 || inner != 1 || !errors.Is(err, rebound.NotRetryable) {
		t.Errorf("%d transactions, %d savepoints, %v, want 1 of each", outer, inner, err)
	}
}

// A pool's transaction inside the function of another is not one of its savepoints.
func TestTransactionInTransaction(t *testing.T) {
	a, b := new(server), new(server).says("exec", state("40001"))
	other := b.database(t)
	err := reboundsql.InTx(t.Context(), a.database(t), quick(3), nil,
		func(ctx context.Context, _ *sql.Tx) error {
			return reboundsql.InTx(ctx, other, quick(3), nil, write)
		})
	check(t, a, err, "1:open 1:begin 1:commit", "")
	check(t, b, err, "1:open 1:begin 1:exec 1:rollback 1:begin 1:exec 1:commit", "")

	a, b = new(server), new(server).says("exec", state("40001"), state("40001"), state("40001"))
	other = b.database(t)
	err = reboundsql.InTx(t.Context(), a.database(t), quick(3), nil,
		func(ctx context.Context, _ *sql.Tx) error {
			return reboundsql.InTx(ctx, other, quick(3), nil, write)
		})
	check(t, a, err, "1:open 1:begin 1:rollback", rebound.AlreadyRetried)
}

// The retries of savepoints are charged to the budget of their policy.
func TestSavepointKeepsBudget(t *testing.T) {
	p := &rebound.Policy{Backoff: backoff.Constant(0)}
	before := p.RetryBudget().Level()
	lock := state("55P03")
	if _, _, err := nest(t, p, true, lock, lock, lock); err == nil {
		t.Error("got nil, want an error")
	}
	if got, want := p.RetryBudget().Level(), before-2; got > want+0.5 {
		t.Errorf("budget at %v, want %v", got, want)
	}
}
