package reboundtest

import (
	"context"
	"sync"
)

// Scripted is a function that fails by a list. Its first call returns the first error of the
// script, the second call the second one, and so on; a nil error is a success. All calls after the
// end go like the last one.
//
// The zero Scripted always succeeds. A Scripted may be shared by goroutines; it must not be copied.
type Scripted struct {
	errs []error

	mu    sync.Mutex
	calls int // guarded by mu
}

// Script returns a function that fails with the given errors in turn: Script(err, err, nil).
func Script(errs ...error) *Scripted { return &Scripted{errs: errs} }

// Run plays the next line of the script. It takes no notice of the context; as a method value it
// fits [rebound.Run].
func (s *Scripted) Run(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if len(s.errs) == 0 {
		return nil
	}
	return s.errs[min(s.calls, len(s.errs))-1]
}

// Calls returns how often the script was called.
func (s *Scripted) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Then makes of a script a function for [Do] or [rebound.Do], which returns v whenever the script
// succeeds, and T's zero value beside its errors.
func Then[T any](s *Scripted, v T) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		if err := s.Run(ctx); err != nil {
			var zero T
			return zero, err
		}
		return v, nil
	}
}
