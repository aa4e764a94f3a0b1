package rebound

import (
	"context"

	"github.com/rebound-go/rebound/fault"
)

// Gate stands around every attempt of a policy that lists it in [Policy.Gates] and may refuse it:
// a rate limiter, a bulkhead, a breaker shared by a fleet. A gate is structural, so that it need
// not import this package, and may be used by many calls at once.
type Gate interface {
	// Enter lets the attempt through, perhaps after waiting, or refuses it with an error. A
	// refusal ends the call: it is not retried.
	Enter(ctx context.Context) (fault.Pass, error)
	// Leave is called exactly once for every Enter that returned no error, with the Pass it gave
	// out and with how the attempt ended. A panic or a runtime.Goexit in the attempt arrives as
	// the zero Outcome, a failure.
	Leave(fault.Pass, fault.Outcome)
}
