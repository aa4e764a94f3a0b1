// Package bench compares the costs of rebound, other libraries and hand-written code that do the
// same jobs. The figures are in results/; docs/performance.md explains them. From the root of the
// repository:
//
//	go run ./bench/cmd/table           measures all jobs and prints their tables
//	go test ./bench                    checks that every entry does its job
//	go test ./bench -bench /retry_ok   measures one job, for profiles
//
// An entry is what a user would write at a call site, closures included. To add a library, write a
// file with a table of its entries, and list the table in the function entries.
package bench

import (
	"context"
	"net/http"
)

// Op is one measured operation. The id changes with every call, so that no result can be reused and
// closures capture a variable.
type Op func(ctx context.Context, id int) (int, error)

// Doer sends one request through a library's HTTP client.
type Doer func(*http.Request) (*http.Response, error)

// Kind is the role of an entry in the comparison.
type Kind int

const (
	Floor     Kind = iota // written by hand: the least work that does the job
	Reference             // shown, but not compared: it does less, or something else
	Peer                  // a library
	Ours                  // rebound
)

// Entry is one way of doing a scenario's job. One of Op, HTTP and Held is set, depending on the
// scenario.
type Entry struct {
	Scenario string // its Name
	Lib      string // the library, or one way of using it
	Kind     Kind
	Note     string // what it does less or more than the others

	Op   func() Op                    // sets up and returns the operation
	HTTP func(http.RoundTripper) Doer // a client over the given transport
	Held func(keep []any)             // fills keep with objects that have made one call each
}

// Scenario is a job. Its figures include the measuring loop, which the scenario "harness" shows.
type Scenario struct {
	Name  string
	About string // one line
	Cores bool   // measured on two cores, too
	Calls int    // calls of work that one operation makes, -1 = not checked
	Fails bool   // the operation returns an error
}

// Scenarios are all jobs, in the order of the table.
var Scenarios = []Scenario{
	{"harness", "nothing: the measuring loop itself, which is in every row", true, 0, false},
	{"parts", "the cost of the building blocks on this machine", false, -1, false},
	{"parts_shared", "the same for one object that all goroutines share", true, -1, false},
	{"retry_ok", "3 attempts, exponential backoff with jitter; the first succeeds", true, 1, false},
	{"retry_2fail", "two failures, zero (or 1 ns) delay, then success", false, 3, false},
	{"delay", "the next exponential delay with jitter, starting over every 8th", false, 0, false},
	{"breaker_closed", "success through a closed breaker that counts", true, 1, false},
	{"breaker_open", "rejected by an open breaker", true, 0, true},
	{"breaker_window", "success through a breaker with the failure rate of 10 s", true, 1, false},
	{"breaker_keyed", "success through a breaker chosen by one of 1024 keys", true, 1, false},
	{"stack", "retry around breaker around attempt timeout; the first succeeds", true, 1, false},
	{"budget_ok", "retry budget: a success while it is full", true, 0, false},
	{"budget_debt", "the same while tokens are missing, as in an outage", true, 0, false},
	{"budget_take", "retry budget: take one retry and return it", true, 0, false},
	{"hedge_ok", "a hedge after 1 s; the first attempt answers at once", true, 1, false},
	{"limit_concurrency", "one of 100 permits taken and returned", true, 1, false},
	{"limit_concurrency_1us", "the same around a call of 1 µs", true, 1, false},
	{"limit_rate", "one token of a rate limit that is not reached", true, 1, false},
	{"limit_rate_1us", "the same before a call of 1 µs", true, 1, false},
	{"limit_adaptive", "a permit of an adaptive limit", true, 1, false},
	{"limit_throttle", "an adaptive throttle that rejects nothing", true, 1, false},
	{"http_stub_ok", "http.Client without a network: 200", false, 1, false},
	{"http_stub_503", "http.Client without a network: 503 with a body, then 200", false, 2, false},
	{"http_stub_hedged", "the same: 200, and a hedge after 1 s", false, 1, false},
	{"http_loop_ok", "http.Client and a server on loopback: 200", false, 1, false},
	{"http_loop_503", "the same: 503 with a body, then 200, zero delay", false, 2, false},
	{"grpc_stub_ok", "a retrying interceptor of gRPC without a network", false, 1, false},
	{"grpc_loop_ok", "a unary call of gRPC and a server on loopback", false, 1, false},
	{"grpc_loop_unavailable", "the same: UNAVAILABLE, then OK, zero delay", false, 2, false},
	{"redis_rate", "a turn of a rate limit from a stub of Redis on loopback", false, 1, false},
	{"sql_tx", "one update in a transaction, SQLite in memory", false, 1, false},
	{"held_breaker", "heap per counting breaker, after one call", false, -1, false},
	{"held_window", "heap per breaker with a window of 10 s, after one call", false, -1, false},
	{"held_key", "heap per key of a registry of breakers, after one call", false, -1, false},
}
