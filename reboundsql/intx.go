package reboundsql

import (
	"context"
	"database/sql"

	"github.com/rebound-go/rebound"
)

// Options are what a transaction may need beside its policy. The zero Options are ready.
type Options struct {
	// Tx has the isolation level and whether the transaction only reads; one that does is never
	// in doubt. Nil = the driver's defaults. InTxOf has no use for it.
	Tx *sql.TxOptions

	// Applied is asked when a COMMIT failed on the wire: is the transaction's effect there? Yes
	// makes the call a success, no lets the policy repeat the transaction, and an error leaves the
	// doubt for the next attempt to ask again. The context is the caller's, with as much time as an
	// attempt has. The server may still be busy with that COMMIT, so the question should be one
	// that waits for it, such as a locking read of a row that the transaction writes. Nil = the
	// doubt stays.
	Applied func(context.Context) (bool, error)

	// Idempotent declares that it does no harm if the transaction is applied twice, so that one in
	// doubt may be repeated. Applied, if set, is preferred.
	Idempotent bool

	// RetryUnique treats a violated unique or exclusion constraint as one that another attempt may
	// not meet. It is for closures that look whether a row is there and insert it if not: another
	// transaction may have done so in between. False = such an error is permanent.
	RetryUnique bool

	// Reset is called after a failure that shows a server to be read-only, and before an attempt
	// that follows a lost connection, to have idle connections closed: pgxpool's method Reset does.
	// InTx looks after the connections of its sql.DB by itself. Nil = nothing to call.
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

// Tx is a transaction that [InTxOf] can end, such as a pgx.Tx. An error of Rollback that is, or
// reads like, sql.ErrTxDone or pgx.ErrTxClosed means that the transaction had ended before.
type Tx interface {
	Commit(context.Context) error
	Rollback(context.Context) error
}

// InTx runs fn in a transaction of db and commits it, again and again until that succeeds or p
// stops the call. Whatever goes wrong, the transaction is rolled back and its connection released
// first, also when fn panics or calls runtime.Goexit, which go on to the caller. The error is a
// [*rebound.Error]; it matches [ErrOutcomeUnknown] if the transaction may have been applied all the
// same, and otherwise it was not. A nil o means the defaults.
//
// The context given to fn is for fn's statements: the policy's AttemptTimeout and the caller's end
// cancel the one that is running, and the transaction is then rolled back, not committed. COMMIT is
// bound by that context, too, and in doubt if the context ends in the middle of it.
//
// fn must not end the transaction; if it does, the call fails and is not retried.
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

// InTxOf is [InTx] for transactions of any type, which begin makes:
//
//	err := reboundsql.InTxOf(ctx, pool.Begin, policy, &reboundsql.Options{Reset: pool.Reset},
//		func(ctx context.Context, tx pgx.Tx) error { … })
//
// begin must release what it took when it fails, and so must the transaction's Commit and its
// Rollback, whether they succeed or not. Rollback is called after a failed Commit, too.
//
// In a function that runs in a transaction, begin may make savepoints of it, as pgx's Tx.Begin
// does. What has ended the whole transaction, such as a serialization failure or a lost connection,
// is not retried in the savepoint then: fn must return the error, and the whole is retried.
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
