package hedge

import (
	"time"

	"github.com/rebound-go/rebound/internal/hedging"
)

// EventKind is what an [Event] reports: a stable word for logs, metrics and JSON. Every attempt of
// a call that was hedged ends in exactly one Won or Lost, unless it panics.
type EventKind string

const (
	Started EventKind = "started" // a hedge has begun
	Won     EventKind = "won"     // this attempt brought the answer of a hedged call
	Lost    EventKind = "lost"    // this attempt of a hedged call did not: it failed, or was late
	Denied  EventKind = "denied"  // a hedge was due and not allowed, for Event.Reason
)

// Reason is why a hedge did not begin: a stable word for logs, metrics and JSON.
type Reason string

const (
	// Throttled: an answer was RateLimited or Overloaded or asked for a delay. There are no
	// hedges for that delay: a second at least, 2 minutes at most.
	Throttled Reason = hedging.Throttled
	// TooMany: a tenth of the recent calls was hedged.
	TooMany Reason = hedging.Share
	// OutOfBudget: there was no token.
	OutOfBudget Reason = hedging.Budget
)

// Event is one step of a call that is hedged, as [Hedge.Observe] sees it.
type Event struct {
	Kind    EventKind
	Hedge   string        // the hedge's name
	Leg     int           // the attempt of this call, from 1; 2 is the first hedge
	Elapsed time.Duration // since the call began
	Reason  Reason        // why a hedge was denied; empty unless Kind is Denied
}
