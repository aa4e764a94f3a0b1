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
// [Run], [DoChecked], [DoElse] and [Attempts] are the same call in other forms; [Loop] is for code
// that cannot be a function. The zero Policy is ready, and so is a nil one: three attempts,
// exponential backoff from 100 ms with full jitter, Retry-After delays up to two minutes, no retry
// of a permanent failure, and a budget that keeps retries near a tenth of the successful calls.
//
// # Guarantees
//
// A test holds each of these:
//
//   - The error of a failed call is an [*Error]. It has the last attempt's error, the [Reason] for
//     stopping and what ended the call from outside; errors.Is and errors.As find them all.
//   - No delay begins that would pass the context's deadline or [Policy.MaxElapsed].
//   - A call that succeeds at once allocates nothing, takes no lock, starts no timer and reads no
//     clock, unless a field of its policy needs one.
//   - Nested policies do not multiply: an error that an inner policy has retried is not retried.
//   - In a total outage, over any 10 s at 100 calls a second or more, the default budget keeps the
//     load at most 1.1 times the calls.
//   - One pure function, [Policy.Decide], makes every decision, here, in the adapters and in the
//     simulator.
//
// # The map
//
//	fault, backoff, gate         what an error means, delays, the interface of breakers and limits
//	breaker, budget              the circuit breaker and the retry budget
//	preset, policyfile           policies with names, policies as JSON
//	reboundhttp, reboundsql, llm the policy around requests, transactions and language models
//	reboundgrpc                  the policy around gRPC calls, a module of its own
//	stats, reboundslog           counts and log lines; OpenTelemetry is the module reboundotel
//	reboundriver                 River jobs under a policy, a module of its own
//	reboundtemporal              Temporal activities under a policy, a module of its own
//	rebounddebug                 a live page of policies and breakers
//	reboundtest                  calls without delays, for tests
//	sim                          a service and its clients in virtual time
//	reboundredis                 limits of a fleet, through Redis, a module of its own
//	cmd/rebound                  the command line, a module of its own
//	internal/house               the repository's rules, as tests
//
// # Compatibility
//
// Before v1.0.0 a minor version may change the API; the changelog lists each change. From v1.0.0
// on, code that compiles keeps compiling within a major version. One exception: structs may get
// fields, so write their literals with field names. Reasons, kinds and event kinds keep their
// words. Defaults, error texts and the kind that [fault.Of] gives an error may improve in a minor
// version; the changelog lists each such change.
//
// The module needs Go 1.25 or newer and the standard library. This package imports a small part
// of it. A newer Go becomes necessary in a minor version only.
package rebound
