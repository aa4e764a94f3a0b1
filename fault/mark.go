package fault

import "time"

// mark is an error that a person has classified by hand.
type mark struct {
	err   error
	kind  Kind
	after time.Duration
}

func (m *mark) Error() string { return m.err.Error() }
func (m *mark) Unwrap() error { return m.err }

// DescribeFault lets the mark decide the kind and the wait, and the marked error the rest.
func (m *mark) DescribeFault() Fault { return m.over(Of(m.err)) }

func (m *mark) over(f Fault) Fault {
	f.Kind, f.Final = m.kind, false
	if m.after > 0 {
		f.After = m.after
	} else if inner, ok := described(m.err).(*mark); ok {
		f.After = inner.over(f).After
	}
	return f
}

// Mark returns err classified by hand: whatever classifiers and predicates say of it, its kind is
// k, and the server asked for a wait of after (0 = for none; a negative wait counts as 0). Text
// and chain of the error stay as they are. Mark of a nil error is nil.
func Mark(err error, k Kind, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &mark{err: err, kind: k, after: max(after, 0)}
}

// Marked reports whether a mark decides about err: whether [Mark] was applied to it, or to an
// error that it wraps, and no other [Described] error stands around that mark.
func Marked(err error) bool {
	d := described(err)
	_, ok := d.(*mark)
	return ok
}

// Settle returns f, a classifier's opinion of err, with the facts that outrank any classifier: a
// mark decides the kind, and an error that a layer below already retried to the end is Final.
func Settle(f Fault, err error) Fault {
	if f.Err == nil {
		f.Err = err
	}
	switch d := described(err).(type) {
	case nil:
	case *mark:
		f = d.over(f)
		f.Err = err
	default:
		f.Final = f.Final || ask(d, err).Final
	}
	return f
}

// described returns the outermost Described error in err's tree, or nil. It is errors.As without
// the allocation of a target, and without its trust in the methods of the errors on the way.
func described(err error) Described {
	w := walk{left: maxNodes, seek: marks}
	w.chain(err, 0)
	return w.described
}
