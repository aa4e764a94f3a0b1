// Package gate defines what may stand around the attempts of a call and reject them: a circuit
// breaker, a rate limit, a concurrency limit.
//
// A [Gate] is structural: a type implements it without importing package rebound. Passes and
// outcomes are plain values, so that a gate costs its callers no allocation. The conformance suite
// for gates is TestGate in package reboundtest.
package gate

import (
	"context"

	"github.com/rebound-go/rebound/fault"
)

// Gate stands around every attempt of a policy that lists it in its Gates, and may reject the
// attempt. Many calls use a gate at once.
//
// A gate that can foresee its answer also has a method Refusal(d time.Duration) error. It returns
// the error that Enter would return after a delay of d, as far as the gate can foresee it, or else
// nil. It is called before a delay, so that no call waits for a rejection.
type Gate interface {
	// Enter admits the attempt, perhaps after waiting, or rejects it with an error. A rejection
	// ends the call: it is not retried.
	Enter(ctx context.Context) (Pass, error)
	// Leave is called exactly once for every Enter that returned no error, with the Pass from
	// Enter and the attempt's outcome. After a panic or a runtime.Goexit in the attempt the
	// outcome is the zero Outcome, a failure.
	Leave(Pass, Outcome)
}

// Pass is a value that Enter returns and Leave receives. The gate may keep what it likes in it,
// such as a generation or a start time. It is a plain value rather than an interface, which would
// cost an allocation at every attempt.
type Pass struct{ A, B uint64 }

// Result is how an attempt ended.
type Result uint8

const (
	Failed  Result = iota // with an error, a panic or a runtime.Goexit
	OK                    // without an error
	Skipped               // it never began: a gate further inside rejected it
)

// Outcome is how an admitted attempt ended. The zero Outcome is a failure of unknown kind, as after
// a panic.
type Outcome struct {
	Result Result
	Fault  fault.Fault // what the failure means; set if Result is Failed
}
