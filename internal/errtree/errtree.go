// Package errtree searches error trees of any origin, which may have cycles, typed nil pointers,
// and methods that panic.
package errtree

import "reflect"

// maxNodes bounds a search, because an error's tree may have cycles.
const maxNodes = 1000

// Find returns the first error in err's tree, depth first, for which is returns true, or nil.
// Unlike errors.As, it skips nil pointers, and errors behind an Unwrap method that panics. If is
// captures nothing, Find allocates nothing.
func Find(err error, is func(error) bool) error { return Outside(err, is, nil) }

// Outside is [Find] that does not look inside errors for which stop returns true.
func Outside(err error, is, stop func(error) bool) error {
	left := maxNodes
	return find(err, is, stop, &left)
}

func find(err error, is, stop func(error) bool, left *int) (found error) {
	// A custom error may panic in Unwrap. That must not end the program while it handles a failure.
	defer func() { _ = recover() }()
	for err != nil && *left > 0 {
		*left--
		// A typed nil pointer is an error that is not nil, and most of its methods would panic.
		if v := reflect.ValueOf(err); v.Kind() == reflect.Pointer && v.IsNil() {
			return nil
		}
		if is(err) {
			return err
		}
		if stop != nil && stop(err) {
			return nil
		}
		// An error that wraps a single other one needs no recursion, so a long chain takes no stack.
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			for _, branch := range e.Unwrap() {
				if found = find(branch, is, stop, left); found != nil {
					return found
				}
			}
			return nil
		default:
			return nil
		}
	}
	return nil
}

// As is errors.As with the guards of [Find].
func As[T error](err error) (as T, ok bool) {
	found := Find(err, func(e error) bool { _, is := e.(T); return is })
	if found == nil {
		return as, false
	}
	return found.(T), true
}
