package reboundhttp

import (
	"strings"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
)

// attemptError adds the Transport's facts about an attempt to the attempt's error. It keeps the
// text, so that callers see the error of Base.
type attemptError struct {
	err    error
	unsent bool // there was no connection to send the request on
	spent  bool // the body cannot be sent again
	resent bool // net/http made all the attempts that the policy allows
}

func (e *attemptError) Error() string { return e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

// DescribeFault returns fault.Of the error, with the Transport's facts.
func (e *attemptError) DescribeFault() fault.Fault { return e.apply(fault.Of(e.err)) }

// apply adds the Transport's facts to f, which is what the error means by itself.
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

// withAttempt returns a classifier that calls own with the original error and then applies the
// attemptError's facts. A nil own needs no wrapper, because fault.Of finds DescribeFault.
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

// unlessSpent returns a RetryIf that is false if the request's body is gone. Otherwise it returns
// the result of own, unless a mark outranks own.
func unlessSpent(own func(fault.Fault) bool) func(fault.Fault) bool {
	return func(f fault.Fault) bool {
		err := f.Err
		if e, ok := err.(*attemptError); ok {
			if e.spent {
				return false
			}
			err = e.err
		}
		// The rest is what a policy without RetryIf does.
		if own != nil && !mark.On(err) {
			return own(f)
		}
		return f.Kind != fault.None && f.Kind != fault.Permanent
	}
}
