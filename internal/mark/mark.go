// Package mark holds the errors that a person has classified by hand. Package rebound makes them
// with Permanent, Transient and RetryAfter. Everything that classifies errors respects them.
package mark

import (
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/errtree"
)

// mark is an error classified by hand.
type mark struct {
	err   error
	kind  fault.Kind
	after time.Duration
}

func (m *mark) Error() string { return m.err.Error() }
func (m *mark) Unwrap() error { return m.err }

// DescribeFault takes the kind and the delay from the mark, and everything else from the marked
// error.
func (m *mark) DescribeFault() fault.Fault { return m.over(fault.Of(m.err)) }

// Marked distinguishes a mark from other Describers, which it outranks, for package fault.
func (m *mark) Marked() {}

// over is f with the mark's kind. It is not Final, because the person who marked the error decides
// about retries. Without a delay of its own, a mark keeps the delay of a mark inside.
func (m *mark) over(f fault.Fault) fault.Fault {
	f.Kind, f.Final = m.kind, false
	if m.after > 0 {
		f.After = m.after
	} else if inner, ok := described(m.err).(*mark); ok {
		f.After = inner.over(f).After
	}
	return f
}

// New returns err classified by hand: its kind is k, whatever classifiers and predicates return for
// it, and the server asked for a delay of after. An after of 0 or less stands for no delay. The
// error's text and chain stay as they are. New of a nil error is nil.
func New(err error, k fault.Kind, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &mark{err: err, kind: k, after: max(after, 0)}
}

// On reports whether a mark decides about err: whether [New] was applied to err, or to an error
// that it wraps without another [fault.Describer] around that mark.
func On(err error) bool {
	return errtree.Outside(err, isMark, isDescriber) != nil
}

// Settle returns f, the result of a classifier for err, corrected by the facts that outrank any
// classifier: a mark decides the kind, and an error that a layer below has already retried is
// Final.
func Settle(f fault.Fault, err error) fault.Fault {
	if f.Err == nil {
		f.Err = err
	}
	switch d := described(err).(type) {
	case nil:
	case *mark:
		f = d.over(f)
		f.Err = err
	default:
		f.Final = f.Final || fault.Of(err).Final
	}
	return f
}

// described returns the Describer that decides about err: the first mark without another Describer
// around it, or else the outermost Describer, or nil.
func described(err error) error {
	if m := errtree.Outside(err, isMark, isDescriber); m != nil {
		return m
	}
	return errtree.Find(err, isDescriber)
}

func isMark(err error) bool      { _, ok := err.(*mark); return ok }
func isDescriber(err error) bool { _, ok := err.(fault.Describer); return ok }
