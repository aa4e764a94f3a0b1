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

// rollbackTime bounds a ROLLBACK. The attempt's context has often ended by then and must not bound
// it: a driver may close its connection, or send nothing at all.
const rollbackTime = 5 * time.Second

// source is what makes the transactions of a call.
type source[T Tx] interface {
	begin(context.Context) (T, error)
	use(context.Context, T) error // what the user wants done
	lost(loss)                    // a failure shows something of other connections
	// uncertain reports whether the error of a Commit leaves open what the server has done.
	uncertain(*rebound.Policy, error) bool
}

// work is one call: what it runs, and what is known of its transactions so far.
type work[T Tx] struct {
	source source[T]
	opts   *Options
	part   bool // it may be a savepoint of another transaction

	ctx     context.Context // the caller's
	policy  *rebound.Policy
	doubt   error // what a COMMIT failed with whose outcome is still unknown
	settled bool  // a COMMIT was in doubt, and then found not to be applied
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

// attempt makes one transaction, unless an earlier one turns out to have been applied.
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

// transact makes one transaction. unknown reports that its COMMIT failed but may have been carried
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

// ownEnd is err, the error of fn, unless the ROLLBACK after it shows that the transaction had
// already ended. Then fn has ended it, perhaps with a COMMIT, so the call must not be retried.
func ownEnd(err, rollback error) error {
	if !ended(rollback) {
		return err
	}
	return rebound.Permanent(fmt.Errorf("%w (its function has ended the transaction itself)", err))
}

// ended reports whether err means that the transaction had already ended. The text is that of pgx.
func ended(err error) bool {
	return err != nil && (is(err, sql.ErrTxDone) || textOf(err) == "tx is closed")
}

// notCommitted is the meaning of a COMMIT that came too late. Either the context ended first, and
// database/sql has rolled back, or fn has ended the transaction.
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
	if w.opts.readOnly() { // carried out or not, it has changed nothing
		return annotate(err, annotated{kind: fault.Transient})
	}
	w.doubt = err
	switch {
	case isHalfDone(err): // to find the rows there would not make it a success
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

// failed is the attempt's error, with what this package knows about its meaning.
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
