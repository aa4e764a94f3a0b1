package reboundsql

import (
	"errors"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
)

// ErrOutcomeUnknown is found by errors.Is in the error of a call whose outcome is unknown: a
// COMMIT, or a statement that commits by itself, failed in such a way that the server may have
// carried it out. The caller has to find out, or to accept either.
var ErrOutcomeUnknown = errors.New(
	"reboundsql: it is not known whether the transaction was committed")

// annotated adds what this package knows to an error. A policy gets such an error only if another
// attempt is safe, so the fault is NotDone.
type annotated struct {
	err   error
	kind  fault.Kind // Unknown = that of err
	doubt bool       // matches ErrOutcomeUnknown
	part  bool       // a conflict in what may be a part of a transaction
	whole bool       // of the whole transaction, so not final for what a part of it retried
}

func (a *annotated) Error() string {
	if a.doubt {
		return "commit in doubt: " + textOf(a.err)
	}
	return textOf(a.err)
}

func (a *annotated) Unwrap() error { return a.err }

// Is makes an error in doubt match ErrOutcomeUnknown.
func (a *annotated) Is(target error) bool { return a.doubt && target == ErrOutcomeUnknown }

// DescribeFault returns fault.Of the error, with the additions. For other classifiers see informed.
func (a *annotated) DescribeFault() fault.Fault {
	f := fault.Of(a.err)
	if a.kind != fault.Unknown {
		f.Kind = a.kind
	}
	f.Sent = fault.NotDone
	f.Final = f.Final && !a.whole
	return f
}

// informed returns p with a classifier whose faults are NotDone, since a classifier of p need not
// ask an error to describe itself. The copy draws on p's budget.
func informed(p *rebound.Policy) *rebound.Policy {
	if p.Classify == nil || !p.NonIdempotent {
		return p
	}
	q := withBudgetOf(p)
	q.Classify = func(err error) fault.Fault {
		f := p.Classify(err)
		f.Sent = fault.NotDone
		return f
	}
	return q
}

// annotate wraps err. A mark on err would lose its rank inside the wrapper, so it is repeated
// outside.
func annotate(err error, a annotated) error {
	a.err = err
	if mark.On(err) {
		f := fault.Of(err)
		return mark.New(&a, f.Kind, f.After)
	}
	return &a
}

// undone adds to err that the server did not carry out what failed, or has undone it.
func undone(err error) error { return annotate(err, annotated{}) }

// doubtful adds to err, the failure of an attempt, that this attempt or an earlier one may have
// been carried out.
func doubtful(err error, kind fault.Kind) error {
	return annotate(err, annotated{doubt: true, kind: kind})
}
