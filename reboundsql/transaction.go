package reboundsql

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
)

// rollbackTime bounds a ROLLBACK. The attempt's context does not, because it has often ended by
// then. With an ended context, a driver may close its connection, or send nothing at all.
const rollbackTime = 5 * time.Second

// source makes the transactions of a call.
type source[T Tx] interface {
	begin(context.Context) (T, error)
	use(context.Context, T) error // runs the user's function
	lost(loss)                    // records what a failure shows about other connections
	// uncertain reports whether the server may have carried out a Commit that failed with this error.
	uncertain(*rebound.Policy, error) bool
}

// work is the state of one call.
type work[T Tx] struct {
	source source[T]
	opts   *Options
	part   bool // the call may be a savepoint of another transaction

	ctx     context.Context // the caller's
	policy  *rebound.Policy
	doubt   error // the error of a COMMIT whose outcome is still unknown
	settled bool  // a COMMIT was in doubt, and Applied returned false
	reset   bool  // call opts.Reset before the next attempt
}

func run[T Tx](ctx context.Context, p *rebound.Policy, w *work[T]) error {
	if p == nil {
		p = &shared
	}
	w.ctx, w.policy = ctx, p
	return rebound.Run(ctx, informed(p), w.attempt)
}

// shared is the policy of all calls without one.
var shared rebound.Policy

// attempt makes one transaction. If Applied finds the effect of an earlier one, it makes none.
func (w *work[T]) attempt(ctx context.Context) error {
	if w.doubt != nil && w.opts.Applied != nil {
		if applied, err := w.ask(); applied || err != nil {
			return err
		}
	}
	if w.reset {
		w.reset = false
		w.opts.Reset()
	}
	unknown, err := w.transact(ctx)
	switch {
	case err == nil:
		return nil
	case unknown:
		return w.inDoubt(err)
	case w.settled && isUnique(err):
		// Applied may have been called too early, and this violation may be the effect of the
		// COMMIT.
		w.doubt = err
		if applied, unanswered := w.ask(); applied || unanswered != nil {
			return unanswered
		}
	}
	return w.failed(err)
}

// transact makes one transaction. unknown is true if its COMMIT failed but may have been carried
// out.
func (w *work[T]) transact(ctx context.Context) (unknown bool, err error) {
	tx, err := w.source.begin(ctx)
	if err != nil {
		return false, err
	}
	over := false
	defer func() {
		if !over {
			_ = rollback(ctx, tx) // after a panic, a Goexit, or a COMMIT that failed
		}
	}()
	// fn may have ignored the end of its context. The transaction is then rolled back and not
	// committed, because the caller no longer expects it.
	if err = w.source.use(ctx, tx); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		over = true
		return false, ownEnd(err, rollback(ctx, tx))
	}
	err = tx.Commit(ctx)
	over = err == nil
	if ended(err) {
		return false, notCommitted(ctx, err)
	}
	return err != nil && w.source.uncertain(w.policy, err), err
}

func rollback(ctx context.Context, tx Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
	defer cancel()
	return tx.Rollback(ctx)
}

// ownEnd returns err, the error of fn. If the error of the ROLLBACK shows that the transaction had
// already ended, fn has ended it, perhaps with a COMMIT. Then the error is Permanent, so that the
// call is not retried.
func ownEnd(err, rollback error) error {
	if !ended(rollback) {
		return err
	}
	return rebound.Permanent(fmt.Errorf(
		"%w (fn ended the transaction itself: it must neither commit nor roll back)", err))
}

// ended reports whether err means that the transaction had already ended. The text is that of pgx.
func ended(err error) bool {
	return err != nil && (is(err, sql.ErrTxDone) || textOf(err) == "tx is closed")
}

// notCommitted returns the error of a COMMIT of a transaction that had already ended. Either the
// context ended first, and database/sql has rolled back, or fn has ended the transaction.
func notCommitted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return ownEnd(err, err)
}

// inDoubt returns the error of a COMMIT whose outcome is unknown, or nil if Applied finds its
// effect.
func (w *work[T]) inDoubt(err error) error {
	w.note(err)
	if w.opts.readOnly() { // it has changed nothing in either case
		return annotate(err, annotated{kind: fault.Transient})
	}
	w.doubt = err
	switch {
	case isHalfDone(err): // finding the rows would not make the call a success
		return rebound.Permanent(doubtful(err, fault.Transient))
	case w.opts.Applied != nil:
		if applied, unanswered := w.ask(); applied || unanswered != nil {
			return unanswered
		}
		return undone(err)
	case w.opts.Idempotent:
		return doubtful(err, fault.Transient)
	}
	return rebound.Permanent(doubtful(err, fault.Transient))
}

// ask settles the doubt with Applied, or returns an error that still holds the doubt.
func (w *work[T]) ask() (applied bool, err error) {
	ctx, cancel := w.ctx, func() {}
	if d := w.policy.AttemptTimeout; d > 0 {
		ctx, cancel = context.WithTimeout(ctx, d)
	}
	defer cancel()
	if err = ctx.Err(); err == nil {
		applied, err = w.opts.Applied(ctx)
	}
	if err != nil {
		w.note(err)
		return false, doubtful(fmt.Errorf("%w (and Applied failed: %w)", w.doubt, err),
			fault.Of(err).Kind)
	}
	w.doubt, w.settled = nil, true
	return applied, nil
}

// failed returns the attempt's error, with this package's findings about its meaning.
func (w *work[T]) failed(err error) error {
	w.note(err)
	switch {
	case w.opts.RetryUnique && isUnique(err) && !mark.On(err):
		err = rebound.Transient(err)
	case isReadOnly(err) && !w.opts.readOnly():
		err = annotate(err, annotated{kind: fault.Transient})
	case isReadOnly(err), inFailedTx(err):
		err = annotate(err, annotated{kind: fault.Permanent})
	case isConflict(err):
		err = annotate(err, annotated{part: w.part, whole: conflictBelow(err)})
	}
	switch {
	case w.doubt != nil: // an earlier COMMIT may have been carried out
		return doubtful(err, fault.Of(err).Kind)
	case w.policy.NonIdempotent:
		return undone(err)
	}
	return err
}

// note records what err shows about the connections that the next attempt may get.
func (w *work[T]) note(err error) {
	l := lossOf(err)
	if l == nothingLost || l == wrongServer && w.opts.readOnly() {
		return
	}
	w.source.lost(l)
	switch {
	case w.opts.Reset == nil:
	case l == wrongServer:
		w.opts.Reset()
	default:
		w.reset = true
	}
}
