package reboundhttp

import (
	"strings"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
)

// attemptError adds to the error of an attempt what the Transport found out about the attempt.
type attemptError struct {
	err    error
	unsent bool // there was no connection to send the request on
	spent  bool // the body cannot be sent again
	resent bool // net/http made all the attempts that the policy allows
}

func (e *attemptError) Error() string { return e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

// DescribeFault returns fault.Of of the error with the Transport's additions.
func (e *attemptError) DescribeFault() fault.Fault { return e.apply(fault.Of(e.err)) }

func (e *attemptError) apply(f fault.Fault) fault.Fault {
	if e.unsent {
		f = unsent(f, e.err)
	}
	if e.spent {
		f.Detail = strings.TrimPrefix(f.Detail+", body sent once", ", ")
	}
	f.Final = f.Final || e.resent
	f.Err = e
	return f
}

// withAttempt returns a classifier that applies attemptError.apply to the result of own. Nil needs
// no wrapper: fault.Of, the default, calls attemptError.DescribeFault.
func withAttempt(own fault.Classifier) fault.Classifier {
	if own == nil {
		return nil
	}
	return func(err error) fault.Fault {
		if e, ok := err.(*attemptError); ok {
			return e.apply(mark.Settle(own(e.err), e.err))
		}
		return own(err)
	}
}

// unlessSpent returns a RetryIf that is false if the request's body is gone. Otherwise its result
// is that of own, or of a mark.
func unlessSpent(own func(fault.Fault) bool) func(fault.Fault) bool {
	return func(f fault.Fault) bool {
		err := f.Err
		if e, ok := err.(*attemptError); ok {
			if e.spent {
				return false
			}
			err = e.err
		}
		if own != nil && !mark.On(err) {
			return own(f)
		}
		return f.Kind != fault.None && f.Kind != fault.Permanent
	}
}
