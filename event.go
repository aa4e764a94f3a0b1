package rebound

import (
	"context"
	"fmt"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// EventKind says which of three things an [Event] reports. A call raises one Retrying for every
// retry that it decides on, and ends in exactly one Succeeded or GaveUp, unless it panics.
type EventKind uint8

const (
	Retrying  EventKind = iota // an attempt failed, and another follows after Event.Delay
	Succeeded                  // the call is over: its last attempt succeeded
	GaveUp                     // the call is over: it failed, for Event.Reason
)

func (k EventKind) String() string {
	switch k {
	case Retrying:
		return "retrying"
	case Succeeded:
		return "succeeded"
	case GaveUp:
		return "gave_up"
	}
	return "invalid"
}

// MarshalText makes an EventKind a word in JSON.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (k *EventKind) UnmarshalText(text []byte) error {
	for *k = Retrying; *k <= GaveUp; *k++ {
		if k.String() == string(text) {
			return nil
		}
	}
	*k = Retrying
	return fmt.Errorf("rebound: no event is called %q: want retrying, succeeded or gave_up", text)
}

// Event is one step of a call, as [Policy.Observe] sees it.
type Event struct {
	Kind    EventKind
	Policy  string        // the policy's name
	Attempt int           // the attempt that ended, from 1; 0 = refused before the first
	Fault   fault.Fault   // what its failure meant; zero when Kind is Succeeded
	Err     error         // the attempt's error when Retrying, the error returned when GaveUp
	Delay   time.Duration // the wait that begins now; 0 unless Kind is Retrying
	Elapsed time.Duration // since the call began, waits included
	Reason  Reason        // why the call stopped; empty unless Kind is GaveUp

	// Announced says of a GaveUp that its failure was told before, by a Retrying whose retry then
	// did not take place: the context ended in the wait, or a gate refused the attempt after it.
	Announced bool
}

// Observers combines several listeners into one for [Policy.Observe]: each is called with every
// event, in the order given. Nil listeners are passed over.
func Observers(observers ...func(context.Context, Event)) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		for _, observe := range observers {
			if observe != nil {
				observe(ctx, e)
			}
		}
	}
}
