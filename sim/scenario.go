package sim

import (
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/hedge"
)

// Scenario is what a simulation plays: clients that call a server through policies, and what goes
// wrong meanwhile. Zero fields mean their documented defaults, but there must be clients. All but
// the policies and the hedge is plain data and marshals as JSON, times in nanoseconds.
type Scenario struct {
	// Name is for titles and tables.
	Name string

	// About is a sentence for lists.
	About string

	// Seed determines every random number. All policies meet the same clients.
	Seed uint64

	// Duration is how long the run lasts, at most 30 days. 0 = 60 s.
	Duration time.Duration

	// Bin is the width of one step of the time series. 0 = 1 s. A run has at most 100,000 bins.
	Bin time.Duration

	// Clients is who makes the calls.
	Clients Clients

	// Layers stand between the clients and the server, the nearest to the clients first: services
	// that pass each attempt on as a call of their own. Empty: clients call the server.
	Layers []Layer

	// Server is what answers them.
	Server Server

	// Hedge, if it is set, hedges each attempt at the server, as a hedge.Do inside of the policies.
	// Only its fields are read, and Observe is not called. Each process has a state of its own. It
	// needs a scenario without Layers. Nil = no hedges.
	Hedge *hedge.Hedge `json:"-"`

	// NoJitter asks policies for waits without jitter, to show what it is good for.
	NoJitter bool

	// PayPerCall has budgets paid the deposit when a call begins, and not when it succeeds, to
	// show why ours are not.
	PayPerCall bool

	// MaxAttempts ends a run that makes more attempts, with an error. 0 = 200 million.
	MaxAttempts int64

	// Policies are compared: the scenario is played once for each. Empty, or nil in it: the
	// zero policy. They are only read.
	Policies []*rebound.Policy `json:"-"`
}

// Clients make calls, each as the policy says. In a closed loop there are Count of them, each with
// one call at a time; in an open loop, calls come at Rate, whatever becomes of the ones before.
// One of the two must be set.
type Clients struct {
	// Count is the number of clients in a closed loop, at most 10 million.
	Count int

	// Think is a client's pause before each call; a client in a closed loop only. Zero: none.
	Think Dist

	// Burst starts all clients with a call at time 0. Otherwise they begin with a pause.
	Burst bool

	// Calls is how many calls a client in a closed loop makes. 0 = until the run ends.
	Calls int

	// Rate is the mean number of calls per second in an open loop; their arrivals are random
	// (a Poisson process).
	Rate float64

	// Profile lets that rate change: it runs straight from each point to the next, and stays at
	// the last. Two points at one time are a step. If it is set, Rate must not be.
	Profile []Rate

	// Poison is the share of the calls whose every attempt fails with status 500 once it is served,
	// such as a request that crashes its handler. Other failures are independent of each other.
	Poison float64

	// Processes is how many processes the clients live in. Those in one share its budget and its
	// breaker. 0 = one for each client in a closed loop, one for all calls in an open loop.
	Processes int

	// Timeout is when clients give up an attempt, under a policy without AttemptTimeout.
	// 0 = never.
	Timeout time.Duration

	// Deadline is when a call ends at the latest, waits included, as its context would have it.
	// 0 = none.
	Deadline time.Duration
}

// Rate is a point of a [Clients] profile: calls per second at a time.
type Rate struct {
	At        time.Duration // from the beginning of the run
	PerSecond float64       // the mean number of calls, 0 or more
}

// Layer is a service between clients and server. By default it takes no time of its own, and any
// number of calls at once.
type Layer struct {
	// Policy meets the failures of the next layer. Nil = the policy that is being played.
	Policy *rebound.Policy `json:"-"`

	// Processes is how many processes the service has; each call goes to a random one. 0 = 1.
	Processes int

	// Workers is how many calls each process handles at a time. A worker is busy from the beginning of
	// a call to its end: through the layer's own work, all attempts at the next layer, and the delays
	// between them. 0 = any number.
	Workers int

	// Queue is how many calls may wait for a worker of a process; further ones are answered with
	// status 503. A call leaves the queue when its caller gives up. 0 = any number, -1 = none.
	Queue int

	// Service is how long the layer's own work takes, before it calls the next one. A caller that
	// gives up ends it. Zero: no time.
	Service Dist

	// Mute keeps from the layer above that failures were already retried here, as most protocols
	// do between two services. Inside one program, errors carry that.
	Mute bool
}

// Server answers attempts in the order in which they come. The zero Server answers all of them at
// once and well.
type Server struct {
	// Replicas is how many servers there are, at most 1000, each with the workers and the queue below.
	// 0 = 1.
	Replicas int

	// Route is how an attempt gets to one of the replicas. Empty = Balanced.
	Route Route

	// Workers is how many attempts are served at a time, at most a million. 0 = all.
	Workers int

	// Service is how long serving one takes. Zero: no time.
	Service Dist

	// Crowding makes serving take longer the more attempts are in the server: by this share of
	// its time for each other one there. 0 = it does not matter.
	Crowding float64

	// Queue is how many attempts may wait for a worker; further ones are answered with status 503.
	// 0 = any number, -1 = none.
	Queue int

	// RetryAfter is the delay that those answers ask for. 0 = none.
	RetryAfter time.Duration

	// DropExpired has workers skip attempts that their callers have given up. Otherwise they are
	// served like any other, which is what makes a retry storm last.
	DropExpired bool

	// Limit is how many attempts the server lets through in a time.
	Limit Limit

	// RoundTrip is the network's part of an attempt, there and back. 0 = none.
	RoundTrip time.Duration

	// Row, if it is set, replaces all of the above: each attempt is an optimistic transaction on
	// one row that all clients share. It reads the row, then writes it, and fails if another
	// write came between. Each of the four messages takes Row.
	Row Dist

	// Windows are the times at which something is wrong. They may overlap.
	Windows []Window
}

// Route is how attempts get to the replicas of a [Server], and what breakers and budgets are for.
type Route string

// The routes that a [Server] may have.
const (
	// Balanced replicas share an address. Each attempt goes to a random one, and a process has one
	// breaker and one budget for all of them.
	Balanced Route = "balanced"
	// Sticky calls pick a random replica, and all attempts of a call go to it. A process has a breaker
	// and a budget for each replica, as reboundhttp.Transport has for each host.
	Sticky Route = "sticky"
	// Avoiding is like Sticky, but each attempt picks a replica whose breaker lets it through.
	Avoiding Route = "avoiding"
)

// Window is a time in which the server fails in the ways that are set; at least one must be. A
// share is that part of the attempts, drawn at random: 1 is all of them.
type Window struct {
	From time.Duration // the beginning
	To   time.Duration // the end, itself excluded; 0 = that of the run

	// Ramp is how long the trouble takes to fade away from To on: shares and Slow go down in a
	// straight line. 0 = it is over at once.
	Ramp time.Duration

	// Replicas is how many of the server's replicas it is about: the first ones. 0 = all.
	Replicas int

	Refuse      float64       // share refused: no connection
	Throttle    float64       // share answered with status 429
	Unavailable float64       // share answered with status 503
	RetryAfter  time.Duration // the delay that both ask for; 0 = none
	BlackHole   float64       // share never answered, and never served
	Fail        float64       // share served, and then answered with an error: status 500
	Slow        float64       // how many times longer serving takes, if begun now; 0 = 1
}

// Dist is a distribution of times. The zero Dist is always 0.
type Dist struct {
	// Mean is the mean of the times.
	Mean time.Duration

	// Spread is the standard deviation of a Normal or LogNormal one, and the largest distance
	// from the mean of a Uniform one; the others have none.
	Spread time.Duration

	// Shape is the kind of distribution. Empty = Exponential.
	Shape Shape
}

// Shape names a kind of distribution.
type Shape string

// The shapes that a [Dist] may have.
const (
	Exponential Shape = "exponential" // as of waits for a random event; its deviation is its mean
	Constant    Shape = "constant"    // always Mean
	Uniform     Shape = "uniform"     // between Mean − Spread and Mean + Spread
	Normal      Shape = "normal"      // a bell; negative times count as positive
	LogNormal   Shape = "lognormal"   // with a long tail, as the times of real services have
)
