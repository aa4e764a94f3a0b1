package hedge

import (
	"time"

	"github.com/rebound-go/rebound/internal/hedging"
)

// EventKind is the kind of an [Event]. Its value is a stable word for logs, metrics and JSON. Every
// attempt of a hedged call ends with exactly one Won or Lost, unless it panics.
type EventKind string

const (
	Started EventKind = "started" // a hedge has begun
	Won     EventKind = "won"     // the call returned the answer of this attempt
	Lost    EventKind = "lost"    // it did not: the attempt failed, or was late
	Denied  EventKind = "denied"  // a hedge was due but not allowed, for Event.Reason
)

// Reason is why a hedge did not start. Its value is a stable word for logs, metrics and JSON.
type Reason string

const (
	// Throttled: an answer was RateLimited or Overloaded, or asked for a delay. There are no hedges
	// during that delay, which counts as at least 1 second and at most 2 minutes.
	Throttled Reason = hedging.Throttled
	// TooMany: a tenth of the recent calls has been hedged.
	TooMany Reason = hedging.Share
	// OutOfBudget: the budget had no token.
	OutOfBudget Reason = hedging.Budget
)

// Event is one step of a hedged call. It is the argument of [Hedge.Observe].
type Event struct {
	Kind    EventKind
	Hedge   string        // the hedge's name
	Leg     int           // the attempt of this call, from 1; 2 is the first hedge
	Elapsed time.Duration // since the call began
	Reason  Reason        // why a hedge was denied; empty unless Kind is Denied
}
