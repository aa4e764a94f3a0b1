//go:build linux

package sql_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundsql"
)

// A statement in MariaDB exceeds max_statement_time while it waits for a lock. In a transaction it
// is retried when the lock is free. On its own it may have committed before its time ran out.
func TestStatementTimeMariaDB(t *testing.T) {
	t.Parallel()
	d := startMariaDB(t)
	dsn := d.mysql(d.Addr())
	direct, db := open(t, "mysql", dsn), open(t, "mysql", dsn+"?max_statement_time=0.2")
	mustExec(t, direct, "CREATE TABLE d (k INT PRIMARY KEY, n INT)", "INSERT INTO d VALUES (1, 0)")
	const update = "UPDATE d SET n = n + 1 WHERE k = 1"
	lock := func() *sql.Tx {
		tx, err := direct.Begin()
		if err == nil {
			_, err = tx.Exec(update)
		}
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}

	holder, retries := lock(), &tally{}
	err := reboundsql.InTx(t.Context(), db, policy(retries), nil,
		func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, update)
			if err != nil && holder != nil {
				err = errors.Join(err, holder.Rollback())
				holder = nil
			}
			return err
		})
	if err != nil || retries.n["mysql 1969"] != 1 {
		t.Errorf("got %v after retries %v, want one for 1969", err, retries.n)
	}

	holder = lock()
	_, err = reboundsql.Exec(t.Context(), db, policy(nil), nil, update)
	if !errors.Is(err, reboundsql.ErrOutcomeUnknown) || !errors.Is(err, rebound.NotRetryable) {
		t.Errorf("got %v, want an outcome that is unknown", err)
	}
	if err := holder.Rollback(); err != nil {
		t.Error(err)
	}
	if got := mustCount(t, direct, "SELECT n FROM d"); got != 1 {
		t.Errorf("n is %d, want 1", got)
	}
}
