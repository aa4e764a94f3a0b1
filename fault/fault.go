// Package fault classifies failures: their kind, whether the server could have acted on the call,
// and the delay that the server asked for.
//
// [Of] reads these facts from any error without importing the driver, SDK or protocol that made
// it. It uses the interfaces, fields and texts that such errors have. Policies, breakers and logs
// all use the [Fault] it returns.
package fault

import (
	"fmt"
	"slices"
	"time"
)

// Kind is what to expect of another attempt. It prints, and marshals to text, as a lower case word
// such as "rate_limited".
//
// Transient, RateLimited and Overloaded failures may pass; delays are longer after the latter two.
// Unknown ones are repeated as well by default, since most failures of networks have no better
// name.
type Kind uint8

const (
	Unknown     Kind = iota // the error was not recognised
	None                    // not a failure: an answer, such as "no rows"
	Transient               // passes by itself: a reset, a timeout, a deadlock
	RateLimited             // the caller is asked to slow down
	Overloaded              // the server has no room for anybody
	Permanent               // the same call will fail again
	Canceled                // the caller gave up
)

var kindNames = [...]string{
	Unknown: "unknown", None: "none", Transient: "transient", RateLimited: "rate_limited",
	Overloaded: "overloaded", Permanent: "permanent", Canceled: "canceled",
}

func (k Kind) String() string { return nameOf(kindNames[:], int(k)) }

// MarshalText makes a Kind a word in JSON, also as the key of a map.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (k *Kind) UnmarshalText(text []byte) error {
	i, err := indexOf(kindNames[:], "kind", text)
	*k = Kind(i)
	return err
}

// Sent is whether the server could have acted on the call. It decides whether a call that must not
// happen twice may be repeated.
//
// MaybeDone is the zero value, so that nothing counts as not done without a proof.
type Sent uint8

const (
	MaybeDone Sent = iota // not proven otherwise: the server may have acted
	NotSent               // the call never reached the server
	NotDone               // the server answered that it did not act
)

var sentNames = [...]string{MaybeDone: "maybe_done", NotSent: "not_sent", NotDone: "not_done"}

func (s Sent) String() string { return nameOf(sentNames[:], int(s)) }

// MarshalText makes a Sent a word in JSON.
func (s Sent) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (s *Sent) UnmarshalText(text []byte) error {
	i, err := indexOf(sentNames[:], "sent", text)
	*s = Sent(i)
	return err
}

// indexOf returns the number of a name, or an error that lists the names that there are.
func indexOf(names []string, what string, text []byte) (int, error) {
	if i := slices.Index(names, string(text)); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("fault: no %s is called %q: want one of %q", what, text, names)
}

// nameOf never panics, since logs and reports print values of unknown origin.
func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "invalid"
}

// Fault is one failure, classified. The zero Fault is a failure of [Unknown] kind.
type Fault struct {
	Kind   Kind
	Sent   Sent
	Final  bool          // already retried to the end by a layer below: stop, whatever the kind
	After  time.Duration // the delay that the server asked for; 0 = none
	Detail string        // the fact that decided, such as "status 503" or "sqlstate 40001"
	Err    error         // the error classified
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

// Describer is implemented by errors that describe their own fault. The outermost one in an error's
// tree decides for [Of], except that Sent is no more than what every branch of the tree proves.
//
// An error whose cause is more specific should not implement it: the cause is not looked at.
type Describer interface {
	error
	DescribeFault() Fault
}
