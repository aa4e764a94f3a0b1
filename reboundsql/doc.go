// Package reboundsql makes database transactions dependable: it handles serialization failures and
// deadlocks, lost connections, restarts, failovers, and a COMMIT whose answer never arrives.
//
// A retry repeats the whole transaction, including everything that it reads to decide what to
// write:
//
//	err := reboundsql.InTx(ctx, db, policy, nil, func(ctx context.Context, tx *sql.Tx) error {
//		_, err := tx.ExecContext(ctx, "UPDATE accounts SET balance = balance - 5 WHERE id = 1")
//		return err
//	})
//
// The function may run several times. So it must have no effects outside of its transaction, and
// must neither commit nor roll back itself. The policy decides which failures are retried, after
// which delays, and when the call ends. Package fault recognises the errors of PostgreSQL,
// CockroachDB, MySQL, MariaDB, TiDB, SQLite, SQL Server and Oracle by their shape, so this package
// imports only the standard library.
//
// If a COMMIT fails, the server may have carried it out. The outcome is unknown, unless the answer
// is on a list of those that prove a rollback. Such a COMMIT is never retried blindly: the call
// fails with [ErrOutcomeUnknown], unless [Options] say how to find out, or that a second commit
// does no harm. A driver's word that nothing was sent is not trusted.
//
// [InTxOf] does the same for anything that begins, commits and rolls back in its own way, such as
// the pools of pgx, and for savepoints in their transactions. [Exec], [ExecIdempotent] and [Query]
// run single statements.
package reboundsql
