package reboundtest

import (
	"context"
	"sync"
)

// Scripted is a function that returns the errors of a list. Its first call returns the first error
// of the list, its second call the second one, and so on. A nil error is a success. All calls after
// the end of the list return the last error.
//
// The zero Scripted always succeeds. Goroutines may share a Scripted. It must not be copied.
type Scripted struct {
	errs []error

	// The script itself never changes, so only the count needs the lock.
	mu    sync.Mutex
	calls int // guarded by mu
}

// Script returns a function that returns the given errors in turn: Script(err, err, nil).
func Script(errs ...error) *Scripted { return &Scripted{errs: errs} }

// Run returns the next error of the script. It ignores the context. As a method value it can be
// passed to [rebound.Run].
func (s *Scripted) Run(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	// The zero Scripted has no list.
	if len(s.errs) == 0 {
		return nil
	}
	return s.errs[min(s.calls, len(s.errs))-1]
}

// Calls returns the number of calls of Run.
func (s *Scripted) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Then turns a script into a function for [Do] or [rebound.Do]. The function returns v if the
// script returns nil, and otherwise T's zero value and the script's error.
func Then[T any](s *Scripted, v T) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		if err := s.Run(ctx); err != nil {
			var zero T
			return zero, err
		}
		return v, nil
	}
}
