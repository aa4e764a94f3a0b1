// Package fault classifies failures. A [Fault] holds the kind of a failure, whether the server
// could have acted on the call, and the delay that the server asked for.
//
// [Of] reads these facts from any error without importing the driver, SDK or protocol that made it.
// It uses the interfaces, fields and texts that such errors have. Policies, breakers and logs all
// use the Fault that it returns.
package fault

import (
	"fmt"
	"slices"
	"time"
)

// Kind is the meaning of a failure: whether another attempt may succeed. As text and in JSON it is
// a lower case word such as "rate_limited".
//
// Transient, RateLimited and Overloaded failures may pass. Delays are longer after RateLimited and
// Overloaded ones. By default a policy retries Unknown failures too, because not all network
// failures are recognised.
type Kind uint8

const (
	// Unknown is the zero value, so that a classifier that leaves a Fault empty has recognised
	// nothing.
	Unknown     Kind = iota // the error was not recognised
	None                    // not a failure: an answer, such as "no rows"
	Transient               // passes by itself: a reset, a timeout, a deadlock
	RateLimited             // the caller is asked to slow down
	Overloaded              // the server has no capacity for anyone
	Permanent               // the same call will fail again
	Canceled                // the call was canceled, or its caller's context has ended
)

var kindNames = [...]string{
	Unknown: "unknown", None: "none", Transient: "transient", RateLimited: "rate_limited",
	Overloaded: "overloaded", Permanent: "permanent", Canceled: "canceled",
}

// String returns the kind's name, such as "rate_limited", or "invalid" for a value out of range.
func (k Kind) String() string { return nameOf(kindNames[:], int(k)) }

// MarshalText makes a Kind a word in JSON, also as the key of a map.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name that MarshalText has written. It returns an error for any other text.
func (k *Kind) UnmarshalText(text []byte) error {
	i, err := indexOf(kindNames[:], "kind", text)
	*k = Kind(i)
	return err
}

// Sent shows whether the server may have acted on the call. It decides whether a call that must not
// happen twice may be retried.
//
// The zero value is MaybeDone: without a proof, the server may have acted.
type Sent uint8

const (
	MaybeDone Sent = iota // not proven otherwise: the server may have acted
	NotSent               // the call never reached the server
	NotDone               // the server answered that it did not act
)

var sentNames = [...]string{MaybeDone: "maybe_done", NotSent: "not_sent", NotDone: "not_done"}

// String returns the name, such as "not_sent", or "invalid" for a value out of range.
func (s Sent) String() string { return nameOf(sentNames[:], int(s)) }

// MarshalText makes a Sent a word in JSON.
func (s Sent) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name that MarshalText has written. It returns an error for any other text.
func (s *Sent) UnmarshalText(text []byte) error {
	i, err := indexOf(sentNames[:], "sent", text)
	*s = Sent(i)
	return err
}

// indexOf returns the index of a name, or an error that lists the valid names.
func indexOf(names []string, what string, text []byte) (int, error) {
	if i := slices.Index(names, string(text)); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("fault: no %s is called %q: want one of %q", what, text, names)
}

// nameOf never panics, because logs and reports print values of unknown origin.
func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "invalid"
}

// Fault is one failure, classified. The zero Fault is a failure of [Unknown] kind that the server
// may have acted on.
type Fault struct {
	// Kind shows whether another attempt may succeed.
	Kind Kind

	// Sent is whether the server could have acted on the call.
	Sent Sent

	// Final is true if a layer below has already retried the call, or must not retry it. A policy does
	// not retry a Final failure of any Kind.
	Final bool

	// After is the Retry-After delay. 0 = the server asked for none.
	After time.Duration

	// Detail is the fact that decided the Kind, such as "status 503" or "sqlstate 40001". It has few
	// different values, so it may be a label in metrics.
	Detail string

	// Err is the error that was classified.
	Err error
}

// Classifier turns an error into a Fault. It returns Kind [Unknown], the zero Kind, for an error
// that it does not recognise.
type Classifier func(error) Fault

// First calls the classifiers in turn and returns the first Fault whose Kind is not [Unknown], or
// an Unknown one if there is none. It skips nil classifiers.
func First(classifiers ...Classifier) Classifier {
	return func(err error) Fault {
		for _, c := range classifiers {
			if c == nil {
				continue
			}
			if f := c(err); f.Kind != Unknown {
				return f
			}
		}
		return Fault{Kind: Unknown, Err: err}
	}
}

// Describer is an error that describes its own fault. [Of] returns the fault of the outermost
// Describer in an error's tree. The exception is Sent. If the tree has several branches, as with
// errors.Join, Sent is what all branches prove.
//
// Of does not examine the errors that a Describer wraps. So DescribeFault should start from
// fault.Of of the wrapped error, if there is one.
type Describer interface {
	error
	DescribeFault() Fault
}
