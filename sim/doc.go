// Package sim runs retry policies, budgets and breakers against a failing service, in virtual time,
// with one client or a million.
//
// A [Scenario] describes the clients, the server and its failures. [Run] plays the scenario once
// for each policy and returns counts and a time series. [Builtin] returns complete scenarios.
//
// The policies are the real ones of your program. Decide of [rebound.Policy] makes every decision,
// and every budget, breaker and limit is the state machine of the real one. The simulator adds the
// clock, the random numbers and the model of clients and server. It only reads policies: each
// simulated process has its own budget, breaker and limits. Observe and OnChange are not called.
// Gates may be the limits of package limit. Any other gate is an error, because it cannot run in
// virtual time.
//
// A run depends only on its scenario: the same seed gives the same result on every platform.
package sim
