// Package mark holds the errors that a person has classified by hand. Package rebound makes them
// (Permanent, Transient, RetryAfter); whatever classifies errors respects them.
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

// DescribeFault takes the kind and the delay from the mark, and the rest from the marked error.
func (m *mark) DescribeFault() fault.Fault { return m.over(fault.Of(m.err)) }

// Marked is how package fault distinguishes a mark from other Describers, which it outranks.
func (m *mark) Marked() {}

func (m *mark) over(f fault.Fault) fault.Fault {
	f.Kind, f.Final = m.kind, false
	if m.after > 0 {
		f.After = m.after
	} else if inner, ok := described(m.err).(*mark); ok {
		f.After = inner.over(f).After
	}
	return f
}

// New returns err classified by hand: whatever classifiers and predicates return for it, its kind
// is k, and the server asked for a delay of after. 0 or less = for none. The error's text and chain
// stay as they are. New of a nil error is nil.
func New(err error, k fault.Kind, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &mark{err: err, kind: k, after: max(after, 0)}
}

// On reports whether a mark decides about err: whether [New] was applied to it, or to an error that
// it wraps, and no other [fault.Describer] stands around that mark.
func On(err error) bool {
	return errtree.Outside(err, isMark, isDescriber) != nil
}

// Settle returns f, a classifier's opinion of err, with the facts that outrank any classifier: a
// mark decides the kind, and an error that a layer below already retried to the end is Final.
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

// described returns the Describer that decides about err: the first mark that no other stands
// around, or else the outermost one, or nil.
func described(err error) error {
	if m := errtree.Outside(err, isMark, isDescriber); m != nil {
		return m
	}
	return errtree.Find(err, isDescriber)
}

func isMark(err error) bool      { _, ok := err.(*mark); return ok }
func isDescriber(err error) bool { _, ok := err.(fault.Describer); return ok }
