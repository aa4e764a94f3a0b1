// Package rebound makes calls to unreliable services dependable.
//
// A [Policy] describes how failures are handled: the number of attempts, the delays
// between them, the failures that are retried, and what protects the service. [Do] calls any
// function under a policy:
//
//	user, err := rebound.Do(ctx, policy, func(ctx context.Context) (User, error) {
//		return api.User(ctx, id)
//	})
//
// [Run], [DoChecked], [DoElse] and [Attempts] are other forms of the same call. [Loop] is for code
// that cannot be a function given to Do.
//
// The zero Policy is ready to use, and so is a nil *Policy. Both make up to three attempts, with
// exponential backoff from 100 ms and full jitter. They obey Retry-After delays of up to two
// minutes and do not retry permanent failures. A budget keeps retries near a tenth of the calls
// that succeed.
//
// # Guarantees
//
// Tests check each of these:
//
//   - The error of a failed call is an [*Error]. It holds the last attempt's error, the [Reason]
//     why the call stopped, and the error that ended the call from outside, if any. errors.Is and
//     errors.As find all three.
//   - A delay that would pass the context's deadline or [Policy.MaxElapsed] is not begun.
//   - A call whose first attempt succeeds allocates nothing, takes no lock, starts no timer and
//     reads no clock, unless a field of its policy needs one.
//   - Nested policies do not multiply: an outer policy does not retry an error that an inner policy
//     has already retried.
//   - In a total outage, the default budget keeps the load within 1.1 times the calls. This holds
//     over any 10 s with 100 or more calls a second.
//   - One pure function, [Policy.Decide], makes every decision: here, in the adapters and in the
//     simulator.
//
// # The map
//
//	fault, backoff, gate         what an error means, delays, the interface of breakers and limits
//	breaker, budget              the circuit breaker and the retry budget
//	preset, policyfile           policies with names, policies as JSON
//	reboundhttp, reboundsql, llm the policy around requests, transactions and language models
//	reboundgrpc                  the policy around gRPC calls, a separate module
//	stats, reboundslog           counts and log lines; OpenTelemetry is the module reboundotel
//	reboundriver                 River jobs under a policy, a separate module
//	reboundtemporal              Temporal activities under a policy, a separate module
//	rebounddebug                 a live page of policies and breakers
//	reboundtest                  calls without delays, for tests
//	sim                          a service and its clients in virtual time
//	reboundredis                 limits of a fleet, through Redis, a separate module
//	cmd/rebound                  the command line, a separate module
//	internal/house               the repository's rules, as tests
//
// # Compatibility
//
// Before v1.0.0 a minor version may change the API; the changelog lists each change. From v1.0.0
// on, code that compiles keeps compiling within a major version. The exception: structs may get new
// fields, so write their literals with field names. Reasons, kinds and event kinds keep their
// names. A minor version may improve defaults, error texts and the kind that [fault.Of] gives an
// error; the changelog lists each such change.
//
// The module needs Go 1.25 or newer and only the standard library. This package imports a small
// part of that library. Only a minor or major version of the module raises the Go version.
package rebound
