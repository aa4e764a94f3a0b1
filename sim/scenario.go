package sim

import (
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/hedge"
)

// Scenario describes a simulation: clients that call a server under policies, and the server's
// failures. Zero fields mean their documented defaults, but Clients must have a Count, a Rate or a
// Profile. Except for the policies and the hedge it is plain data, and can be marshaled as JSON,
// with times in nanoseconds.
type Scenario struct {
	// Name is the scenario's name in titles and tables.
	Name string

	// About is a sentence for lists of scenarios.
	About string

	// Seed determines every random number. All policies meet the same clients.
	Seed uint64

	// Duration is how long the run lasts, at most 30 days. 0 = 60 s.
	Duration time.Duration

	// Bin is the width of one step of the time series. 0 = 1 s. A run has at most 100,000 bins.
	Bin time.Duration

	// Clients make the calls.
	Clients Clients

	// Layers are services between the clients and the server, the one nearest to the clients first.
	// Each passes an attempt on as its own call. Empty = the clients call the server.
	Layers []Layer

	// Server answers the attempts.
	Server Server

	// Hedge hedges each attempt at the server, like a hedge.Do inside the policies. Only its fields
	// are read, and Observe is not called. Each process has its own state. A scenario with a Hedge
	// cannot have Layers. Nil = no hedges.
	Hedge *hedge.Hedge `json:"-"`

	// NoJitter makes policies use delays without jitter, to show the effect of jitter.
	NoJitter bool

	// PayPerCall pays the deposit to budgets when a call begins and not when it succeeds, to show why
	// real budgets do not do so.
	PayPerCall bool

	// MaxAttempts is the largest number of attempts. A run with more ends with an error. 0 = 200
	// million.
	MaxAttempts int64

	// Policies are the policies to compare: the scenario is played once for each. They are only read.
	// Empty, or a nil element = the zero policy.
	Policies []*rebound.Policy `json:"-"`
}

// Clients make calls, each under the policy. In a closed loop there are Count clients, each with
// one call at a time. In an open loop calls arrive at Rate, independently of earlier calls. Exactly
// one of Count, Rate and Profile must be set.
type Clients struct {
	// Count is the number of clients in a closed loop, at most 10 million.
	Count int

	// Think is a client's pause before each call, in a closed loop only. Zero = none.
	Think Dist

	// Burst makes all clients of a closed loop call at time 0. Otherwise they begin with a pause.
	Burst bool

	// Calls is the number of calls of each client in a closed loop. 0 = calls until the run ends.
	Calls int

	// Rate is the mean number of calls per second in an open loop; their arrivals are random
	// (a Poisson process).
	Rate float64

	// Profile is a rate that changes, for an open loop. It changes in a straight line from each point
	// to the next, and stays the same after the last. Two points at the same time are a step. If
	// Profile is set, Rate must not be.
	Profile []Rate

	// Poison is the share of calls whose every attempt fails with status 500 once it is served, such
	// as a request that crashes its handler. Other failures are independent of each other.
	Poison float64

	// Processes is the number of processes that the clients run in. The clients of a process share
	// its budget and its breaker. 0 = one for each client in a closed loop, and one for all calls in
	// an open loop.
	Processes int

	// Timeout is the time after which clients give up an attempt, if the policy has no AttemptTimeout.
	// 0 = never.
	Timeout time.Duration

	// Deadline is the longest time of a call, delays included, like a deadline of its context. 0 =
	// none.
	Deadline time.Duration
}

// Rate is a point of a [Clients] profile: calls per second at a time.
type Rate struct {
	// At is the time since the beginning of the run.
	At time.Duration

	// PerSecond is the mean number of calls per second, 0 or more.
	PerSecond float64
}

// Layer is a service between clients and server. By default it takes no time of its own, and
// handles any number of calls at once.
type Layer struct {
	// Policy handles the failures of the next layer. Nil = the policy that is being simulated.
	Policy *rebound.Policy `json:"-"`

	// Processes is the number of processes of the service. Each call goes to a random one. 0 = 1.
	Processes int

	// Workers is the number of calls that each process handles at a time. A worker is busy from the
	// beginning of a call to its end. That includes the layer's own work, all attempts at the next
	// layer, and the delays between them. 0 = any number.
	Workers int

	// Queue is the number of calls that may wait for a worker of a process. Further calls are answered
	// with status 503. A call leaves the queue when its caller gives up. 0 = any number, -1 = none.
	Queue int

	// Service is the time of the layer's own work, before it calls the next layer. The work ends if
	// the caller gives up. Zero = no time.
	Service Dist

	// Mute hides from the layer above that this layer has already retried a failure, as most protocols
	// between services do. Inside one program, errors carry that information.
	Mute bool
}

// Server answers attempts in the order in which they arrive. The zero Server answers all attempts
// at once, and successfully.
type Server struct {
	// Replicas is how many servers there are, at most 1000, each with the workers and the queue below.
	// 0 = 1.
	Replicas int

	// Route is how an attempt gets to one of the replicas. Empty = Balanced.
	Route Route

	// Workers is the number of attempts that are served at a time, at most a million. 0 = any number.
	Workers int

	// Service is the time to serve an attempt. Zero = no time.
	Service Dist

	// Crowding makes serving slower when many attempts are in the server. Each other attempt adds this
	// share of the time. 0 = no effect.
	Crowding float64

	// Queue is the number of attempts that may wait for a worker. Further attempts are answered with
	// status 503. 0 = any number, -1 = none.
	Queue int

	// RetryAfter is the Retry-After delay of the answers when the queue is full. 0 = none.
	RetryAfter time.Duration

	// DropExpired makes workers skip attempts that their callers have given up. Otherwise such
	// attempts are served like any other, which prolongs a retry storm.
	DropExpired bool

	// Limit is the server's rate limit.
	Limit Limit

	// RoundTrip is the network's part of an attempt, there and back. 0 = none.
	RoundTrip time.Duration

	// Row replaces everything above. Each attempt is an optimistic transaction on one row that all
	// clients share. It reads the row, writes it, and fails if another write came in between. Row is
	// the time of each of the four messages. Zero = no row.
	Row Dist

	// Windows are the periods of failures. They may overlap.
	Windows []Window
}

// Route is how attempts reach the replicas of a [Server], and whether breakers and budgets are per
// replica.
type Route string

// Balanced replicas share an address. Each attempt goes to a random one, and a process has one
// breaker and one budget for all of them.
const (
	Balanced Route = "balanced"
	// Sticky calls pick a random replica, and all attempts of a call go to it. A process has a breaker
	// and a budget for each replica, as reboundhttp.Transport has for each host.
	Sticky Route = "sticky"
	// Avoiding is like Sticky, but each attempt selects a replica whose breaker admits it.
	Avoiding Route = "avoiding"
)

// Window is a period in which the server fails in the ways that are set. At least one must be set.
// A share is the part of the attempts that is affected, drawn at random: 1 = all attempts.
type Window struct {
	// From is the beginning of the window.
	From time.Duration

	// To is the end of the window, exclusive. 0 = the end of the run.
	To time.Duration

	// Ramp is how long the trouble takes to fade after To. During that time the shares and Slow
	// decrease in a straight line. 0 = it ends at once.
	Ramp time.Duration

	// Replicas is how many of the server's replicas are affected: the first ones. 0 = all.
	Replicas int

	// Refuse is the share of attempts without a connection.
	Refuse float64

	// Throttle is the share of attempts that are answered with status 429.
	Throttle float64

	// Unavailable is the share of attempts that are answered with status 503.
	Unavailable float64

	// RetryAfter is the Retry-After delay of answers with status 429 or 503. 0 = none.
	RetryAfter time.Duration

	// BlackHole is the share of attempts that are never served and never answered.
	BlackHole float64

	// Fail is the share of attempts that are served and then answered with status 500.
	Fail float64

	// Slow multiplies the time to serve an attempt, if serving begins in the window. 0 = 1.
	Slow float64
}

// Dist is a distribution of times. The zero Dist is always 0.
type Dist struct {
	// Mean is the mean of the times.
	Mean time.Duration

	// Spread is the standard deviation of the shapes Normal and LogNormal, and the largest distance
	// from the mean of the shape Uniform. The other shapes ignore it.
	Spread time.Duration

	// Shape is the kind of distribution. Empty = Exponential.
	Shape Shape
}

// Shape names a kind of distribution.
type Shape string

// The shapes that a [Dist] may have.
const (
	Exponential Shape = "exponential" // as between random events; the deviation is the mean
	Constant    Shape = "constant"    // always Mean
	Uniform     Shape = "uniform"     // between Mean − Spread and Mean + Spread
	Normal      Shape = "normal"      // a bell; negative times count as positive
	LogNormal   Shape = "lognormal"   // with a long tail, as the times of real services have
)
