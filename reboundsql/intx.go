package reboundsql

import (
	"context"
	"database/sql"

	"github.com/rebound-go/rebound"
)

// Options are what a transaction may need beside its policy. The zero Options are ready to use.
type Options struct {
	// Tx holds the isolation level, and whether the transaction only reads. A transaction that only
	// reads is never in doubt. InTxOf ignores Tx. Nil = the driver's defaults.
	Tx *sql.TxOptions

	// Applied reports whether the effect of the transaction is in the database. It is called when a
	// COMMIT has failed and may have been carried out. True makes the call a success. False lets the
	// policy retry the transaction. An error leaves the doubt, and the next attempt calls Applied
	// again.
	//
	// The context is the caller's, bounded by the policy's AttemptTimeout. The server may still be
	// busy with the COMMIT, so the check should wait for it, for example with a locking read of a row
	// that the transaction writes. Nil = the doubt stays.
	Applied func(context.Context) (bool, error)

	// Idempotent declares that applying the transaction twice does no harm, so that a transaction in
	// doubt may be retried. Applied, if set, is used instead.
	Idempotent bool

	// RetryUnique makes the violation of a unique or exclusion constraint transient. It is for
	// functions that check whether a row exists and insert it if not: another transaction may have
	// inserted it in between. False = such an error is permanent.
	RetryUnique bool

	// Reset closes idle connections, as the method Reset of pgxpool does. It is called after a failure
	// that shows that a server is read-only, and before an attempt that follows a lost connection.
	// InTx does this itself for its sql.DB. Nil = nothing to call.
	Reset func()
}

var defaults Options

func (o *Options) orDefault() *Options {
	if o == nil {
		return &defaults
	}
	return o
}

func (o *Options) readOnly() bool { return o.Tx != nil && o.Tx.ReadOnly }

// Tx is a transaction that [InTxOf] can end, such as a pgx.Tx. If Rollback returns sql.ErrTxDone,
// pgx.ErrTxClosed or an error with the text of the latter, the transaction counts as ended before.
type Tx interface {
	Commit(context.Context) error
	Rollback(context.Context) error
}

// InTx runs fn in a transaction of db and commits it. It retries until that succeeds or p ends the
// call. After every failure the transaction is rolled back and its connection released, even if fn
// panics or calls runtime.Goexit, which then continue in the caller. The error is a
// [*rebound.Error]. It matches [ErrOutcomeUnknown] if the transaction may have been applied;
// otherwise it was not. A nil o means the defaults.
//
// The context given to fn is for fn's statements. When the policy's AttemptTimeout is over or the
// caller's context ends, the statement that is running is canceled and the transaction is rolled
// back. That context bounds the COMMIT too, and the outcome is unknown if the context ends during
// the COMMIT.
//
// fn must not end the transaction. If it does, the call fails and is not retried.
func InTx(
	ctx context.Context, db *sql.DB, p *rebound.Policy, o *Options,
	fn func(context.Context, *sql.Tx) error,
) error {
	var call struct { // one allocation
		work[*sqlTx]
		sqlSource
	}
	call.opts, call.source = o.orDefault(), &call.sqlSource
	call.sqlSource = sqlSource{pool: pool{db: db}, tx: call.opts.Tx, fn: fn}
	return run(ctx, p, &call.work)
}

// InTxOf is [InTx] for transactions of any type, which begin starts:
//
//	err := reboundsql.InTxOf(ctx, pool.Begin, policy, &reboundsql.Options{Reset: pool.Reset},
//		func(ctx context.Context, tx pgx.Tx) error { … })
//
// If begin fails, it must release what it took. Commit and Rollback must release the transaction's
// connection, whether they succeed or not. Rollback is also called after a failed Commit.
//
// Inside a transaction, begin may make a savepoint, as pgx's Tx.Begin does. A failure that has
// ended the whole transaction, such as a serialization failure or a lost connection, is then not
// retried in the savepoint. fn must return the error, so that the whole transaction is retried.
func InTxOf[T Tx](
	ctx context.Context, begin func(context.Context) (T, error), p *rebound.Policy, o *Options,
	fn func(context.Context, T) error,
) error {
	if ctx.Value(insideKey{}) != nil {
		if p == nil {
			p = &shared
		}
		p = inSavepoint(p)
	}
	return run(ctx, p, &work[T]{source: &funcs[T]{begin, fn}, opts: o.orDefault(), part: true})
}

// funcs is the source of InTxOf.
type funcs[T Tx] struct {
	make func(context.Context) (T, error)
	fn   func(context.Context, T) error
}

func (f *funcs[T]) begin(ctx context.Context) (T, error) { return f.make(ctx) }
func (f *funcs[T]) use(ctx context.Context, tx T) error  { return f.fn(&inside{ctx}, tx) }
func (f *funcs[T]) lost(loss)                            {}
func (f *funcs[T]) uncertain(p *rebound.Policy, err error) bool {
	return uncertain(p, err, false)
}
