// Package sim runs retry policies, budgets and breakers against a service that fails, in virtual
// time, for one client or a million, so that their effect can be seen before the outage shows it.
//
// A [Scenario] describes the clients, the server and what goes wrong; [Run] plays it once for each
// policy and returns what happened, in numbers and second by second. [Builtin] has scenarios ready
// to use.
//
// The policies are the very ones that are shipped: every decision is made by [rebound.Policy]'s
// Decide, every budget and every breaker is the state machine of the real one. What the simulator
// supplies is the clock, the random numbers and the model of clients and server. Policies are only
// read: each simulated process has a budget and a breaker of its own, as they are configured.
// Observe and the breaker's OnChange are not called; Gates, of which only their own code knows what
// they do, are refused.
//
// A run depends on nothing but its scenario: one seed, one result, on every platform.
package sim
