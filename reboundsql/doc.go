// Package reboundsql makes database transactions dependable. It handles serialization failures,
// deadlocks, lost connections, restarts, failovers, and a COMMIT whose answer never arrives.
//
// A retry repeats the whole transaction, including its reads:
//
//	err := reboundsql.InTx(ctx, db, policy, nil, func(ctx context.Context, tx *sql.Tx) error {
//		_, err := tx.ExecContext(ctx, "UPDATE accounts SET balance = balance - 5 WHERE id = 1")
//		return err
//	})
//
// The function may run several times. So it must have no effects outside its transaction, and must
// not commit or roll back itself. The policy decides which failures are retried, after which
// delays, and when the call ends. Package fault classifies the errors of PostgreSQL, CockroachDB,
// MySQL, MariaDB, TiDB, SQLite, SQL Server and Oracle. It reads them without importing the drivers.
//
// If a COMMIT fails, the server may have carried it out. The outcome is unknown, unless the error
// is on a list of errors that prove a rollback. Then the call fails with [ErrOutcomeUnknown] and is
// not retried. It is retried only if Applied in [Options] can check the outcome, or if Idempotent
// declares that a second commit does no harm. A driver's error proves nothing if it only claims
// that nothing was sent.
//
// [InTxOf] does the same for transactions of other types, such as those of pgx, and for savepoints
// in them. [Exec], [ExecIdempotent] and [Query] run single statements.
package reboundsql
