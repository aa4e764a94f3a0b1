package rebound

import (
	"context"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// EventKind is the kind of an [Event]. Its value is a stable word for logs, metrics and JSON. A
// call reports one Retrying event before the delay of each retry. At its end it reports exactly one
// Succeeded or GaveUp, unless it panics. A FellBack may follow a GaveUp.
type EventKind string

const (
	Retrying  EventKind = "retrying"  // an attempt failed, and another follows after Event.Delay
	Succeeded EventKind = "succeeded" // the call is over: its last attempt succeeded
	GaveUp    EventKind = "gave_up"   // the call is over: it failed, for Event.Reason
	FellBack  EventKind = "fell_back" // the fallback of a call that gave up has returned: see DoElse
)

// Event is one step of a call. It is the argument of [Policy.Observe].
type Event struct {
	Kind    EventKind
	Policy  string        // the policy's name
	Attempt int           // the attempt that ended, from 1; 0 = the call made none
	Fault   fault.Fault   // what its failure means; its Kind is None when Succeeded
	Err     error         // of the attempt if Retrying, the call if GaveUp, the fallback if FellBack
	Delay   time.Duration // until the retry; 0 unless Retrying
	Elapsed time.Duration // since the call began, delays and fallback included
	Reason  Reason        // why the call stopped; empty when Retrying or Succeeded

	// Announced is set on a GaveUp whose failure a Retrying event already reported: the retry was
	// then canceled or rejected.
	Announced bool
}

// Observers combines several functions into one for [Policy.Observe]: each is called with every
// event, in the order given. Nil functions are left out.
func Observers(observers ...func(context.Context, Event)) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		for _, observe := range observers {
			if observe != nil {
				observe(ctx, e)
			}
		}
	}
}
