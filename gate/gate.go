// Package gate defines gates. A gate admits or rejects the attempts of calls. Circuit breakers,
// rate limits and concurrency limits are gates.
//
// A type can implement [Gate] without importing package rebound. Passes and outcomes are plain
// values, so that a gate costs its callers no allocation. TestGate in package reboundtest checks
// that a type keeps the contract.
package gate

import (
	"context"

	"github.com/rebound-go/rebound/fault"
)

// Gate admits or rejects each attempt of the policies that list it in their Gates. Goroutines share
// a gate, so its methods must be safe for concurrent use.
//
// A gate may also have a method Refusal(d time.Duration) error. It returns the error that Enter
// would return after a delay of d, or nil if Enter would admit the attempt or the gate cannot
// foresee it. The policy calls it before a delay, so that no call waits for a rejection.
type Gate interface {
	// Enter admits the attempt, at once or after waiting, or rejects it with an error. A rejection
	// ends the call: it is not retried. If ctx ends while Enter waits, Enter must return an error and
	// take nothing.
	Enter(ctx context.Context) (Pass, error)
	// Leave is called exactly once for every Enter that returned no error, with the Pass from Enter
	// and the attempt's outcome. After a panic or a runtime.Goexit in the attempt, the outcome is the
	// zero Outcome, which is a failure.
	Leave(Pass, Outcome)
}

// Pass is a value that Enter returns and Leave receives. A gate may store anything in it, such as a
// start time. Pass is not an interface, because that would cost an allocation for every attempt.
type Pass struct{ A, B uint64 }

// Result is how an attempt ended.
type Result uint8

const (
	Failed  Result = iota // with an error, a panic or a runtime.Goexit
	OK                    // without an error
	Skipped               // it never began: a later gate rejected it
)

// Outcome is how an admitted attempt ended. The zero Outcome is a failure of unknown kind, such as
// a panic.
type Outcome struct {
	Result Result
	Fault  fault.Fault // what the failure means; set if Result is Failed
}
