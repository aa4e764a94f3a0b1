// Package reboundsql makes database transactions survive what databases do: serialization failures
// and deadlocks, lost connections, restarts, failovers, and a COMMIT whose answer never came.
//
// The unit of a retry is the whole transaction, with all that it reads to decide what to write:
//
//	err := reboundsql.InTx(ctx, db, policy, nil, func(ctx context.Context, tx *sql.Tx) error {
//		_, err := tx.ExecContext(ctx, "UPDATE accounts SET balance = balance - 5 WHERE id = 1")
//		return err
//	})
//
// The closure may run several times, so it must have no effects outside of its transaction, and
// must neither commit nor roll back itself. The policy decides what is worth another attempt, how
// long to wait and when to stop. Package fault classifies the errors of PostgreSQL, CockroachDB,
// MySQL, MariaDB, TiDB, SQLite, SQL Server and Oracle by their shapes, so that nothing but the
// standard library is imported here.
//
// A COMMIT that fails leaves the outcome unknown, unless the answer is on a list of those that
// prove a rollback: the server may have carried it out. It is never retried blindly. Such a call
// fails with [ErrOutcomeUnknown], unless [Options] say how to find out, or that a second time does
// no harm. No driver is believed that nothing was sent.
//
// [InTxOf] does the same for anything that begins, commits and rolls back in its own way, such as
// the pools of pgx, and for savepoints in their transactions. [Exec], [ExecIdempotent] and [Query]
// are for single statements.
package reboundsql
