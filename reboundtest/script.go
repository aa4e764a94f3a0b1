package reboundtest

import (
	"context"
	"sync"
)

// Script is a function that fails as it is told to. Its first call returns the first error of the
// script, the second call the second one, and so on; a nil error is a success. All calls after the
// end go like the last one.
//
// The zero Script always succeeds. A Script may be shared by goroutines; it must not be copied.
type Script struct {
	errs []error

	mu    sync.Mutex
	calls int // guarded by mu
}

// NewScript returns a script of the given errors.
func NewScript(errs ...error) *Script { return &Script{errs: errs} }

// Run plays the next line of the script. It takes no notice of the context; as a method value it
// fits [rebound.Run].
func (s *Script) Run(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if len(s.errs) == 0 {
		return nil
	}
	return s.errs[min(s.calls, len(s.errs))-1]
}

// Calls returns how often the script was called.
func (s *Script) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Then makes of a script a function for [Do] or [rebound.Do], which returns v whenever the script
// succeeds, and T's zero value beside its errors.
func Then[T any](s *Script, v T) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		if err := s.Run(ctx); err != nil {
			var zero T
			return zero, err
		}
		return v, nil
	}
}
