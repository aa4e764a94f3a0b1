package reboundsql

import (
	"context"
	"database/sql"

	"github.com/rebound-go/rebound"
)

// Options configures a transaction or a statement. The zero Options are ready to use.
type Options struct {
	// Tx holds the isolation level, and whether the transaction is read-only. A read-only transaction
	// is never in doubt. InTxOf uses only ReadOnly, because begin starts the transaction. Nil = the
	// driver's defaults.
	Tx *sql.TxOptions

	// Applied reports whether the effect of the transaction is in the database. It is called after a
	// failed COMMIT that may have been carried out. If Applied returns true, the call succeeds. If it
	// returns false, the policy may retry the transaction. If it returns an error, the outcome stays
	// unknown, and the next attempt calls Applied first.
	//
	// The context is the caller's, bounded by the policy's AttemptTimeout. The server may still be
	// executing the COMMIT, so Applied should wait for it. For example, it can lock a row that the
	// transaction writes. Nil = the outcome stays unknown.
	Applied func(context.Context) (bool, error)

	// Idempotent declares that applying the transaction twice does no harm. Then a transaction is
	// retried even if its outcome is unknown. Idempotent has no effect if Applied is set.
	Idempotent bool

	// RetryUnique makes a violation of a unique or exclusion constraint transient. It is for functions
	// that insert a row unless the row exists: another transaction may insert it in between. False =
	// such a violation is permanent.
	RetryUnique bool

	// Reset closes idle connections, as the method Reset of pgxpool does. It is called when a failure
	// shows that the server is read-only, and before the attempt after a lost connection. InTx itself
	// closes those of its sql.DB. Nil = nothing is called.
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

// Tx is a transaction that [InTxOf] can end, such as a pgx.Tx. Commit and Rollback return an error
// if the transaction has already ended. The error must match sql.ErrTxDone, or have the text of
// pgx.ErrTxClosed, "tx is closed".
type Tx interface {
	Commit(context.Context) error
	Rollback(context.Context) error
}

// InTx runs fn in a transaction of db and commits the transaction. It retries until the COMMIT
// succeeds or p ends the call. A nil p or o means the defaults.
//
// The error is a [*rebound.Error]. If it matches [ErrOutcomeUnknown], the transaction may have been
// applied. Otherwise the transaction was not applied. After every failure the transaction is rolled
// back and its connection released, even if fn panics or calls runtime.Goexit. The panic or the
// Goexit then continues in the caller.
//
// fn must pass its context to its statements. The context ends after the policy's AttemptTimeout,
// or with the caller's context. Then the running statement is canceled and the transaction is
// rolled back. The context bounds the COMMIT too. If it ends during the COMMIT, the outcome is
// unknown.
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

// InTxOf is [InTx] for transactions of any type. begin starts a transaction:
//
//	err := reboundsql.InTxOf(ctx, pool.Begin, policy, &reboundsql.Options{Reset: pool.Reset},
//		func(ctx context.Context, tx pgx.Tx) error { … })
//
// If begin fails, it must release its connection. Commit and Rollback must release the
// transaction's connection, even if they fail. Rollback is also called after a failed Commit.
//
// Inside a transaction, begin may make a savepoint, as pgx's Tx.Begin does. Some failures end the
// whole transaction, such as a serialization failure or a lost connection. InTxOf does not retry
// them in the savepoint. The function of the transaction must return their error, so that the whole
// transaction is retried.
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
