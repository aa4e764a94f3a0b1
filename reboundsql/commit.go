package reboundsql

import (
	"errors"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
)

// ErrOutcomeUnknown matches, by errors.Is, the error of a call whose outcome is unknown. A COMMIT,
// or a statement that commits by itself, failed, but the server may have carried it out. The caller
// must look in the database, or accept both outcomes.
var ErrOutcomeUnknown = errors.New(
	"reboundsql: it is not known whether the transaction was committed")

// annotated adds the findings of this package to an error. Its fault is NotDone, because a retry of
// such an error is safe. An error that must not be retried is also marked Permanent.
type annotated struct {
	err   error
	kind  fault.Kind // Unknown = that of err
	doubt bool       // matches ErrOutcomeUnknown
	part  bool       // a conflict in a call that may be a savepoint
	whole bool       // the whole transaction failed, so a savepoint's final error is not final for it
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

// DescribeFault returns fault.Of the error, with the findings. For classifiers of policies see
// informed.
func (a *annotated) DescribeFault() fault.Fault {
	f := fault.Of(a.err)
	if a.kind != fault.Unknown {
		f.Kind = a.kind
	}
	f.Sent = fault.NotDone
	f.Final = f.Final && !a.whole
	return f
}

// informed returns p, or a copy whose classifier returns NotDone. The copy is needed because p's
// own classifier need not call DescribeFault. It draws on p's budget.
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

// annotate wraps err. A mark on err, such as Permanent, is repeated on the wrapper, because a mark
// inside another Describer does not override classifiers.
func annotate(err error, a annotated) error {
	a.err = err
	if mark.On(err) {
		f := fault.Of(err)
		return mark.New(&a, f.Kind, f.After)
	}
	return &a
}

// undone adds to err that the failed work was not carried out, or was rolled back.
func undone(err error) error { return annotate(err, annotated{}) }

// doubtful adds to err that this attempt or an earlier one may have been carried out.
func doubtful(err error, kind fault.Kind) error {
	return annotate(err, annotated{doubt: true, kind: kind})
}
