// Package rebound makes calls to unreliable services dependable.
//
// A [Policy] is one value that says how failures are met: how often a call is tried, how long it
// waits in between, which failures are worth another try, and what protects the service meanwhile.
// [Do] and its sisters carry it out around any function:
//
//	user, err := rebound.Do(ctx, policy, func(ctx context.Context) (User, error) {
//		return api.User(ctx, id)
//	})
//
// The zero Policy is ready, and so is a nil one: three attempts, exponential backoff from 100 ms
// with full jitter, waits that the server asks for obeyed up to two minutes, nothing repeated that
// cannot succeed, and a budget that keeps retries to a tenth of the traffic in an outage.
//
// Promises, each kept by a test:
//
//   - The error returned is an [*Error]: it carries the last attempt's error, the [Reason] for
//     stopping and the context's cause or the refusal, and errors.Is and errors.As reach them all.
//   - A wait that cannot end before the context's deadline is not begun.
//   - A call that succeeds at once costs no allocation, no lock, no timer and no look at the clock.
//   - Nested policies do not multiply: what a layer below retried to the end is not retried above.
//   - One pure function, [Policy.Decide], makes every decision, here, in the other rooms of this
//     module and in its simulator.
//
// The package depends on nothing but a small part of the standard library. HTTP, SQL, LLM APIs,
// metrics and the command line live in rooms of their own beside it.
package rebound
