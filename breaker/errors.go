package breaker

import (
	"errors"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/clock"
)

// ErrOpen matches, by errors.Is, the error of every call that a breaker rejects.
var ErrOpen = errors.New("breaker open")

// OpenError is the rejection of a call: the breaker is open, or it is half-open with all its probes
// under way. There is one value for each change of state. All calls share it until the next change,
// so that a rejection allocates nothing.
type OpenError struct {
	Name   string
	State  State       // [Open] or [HalfOpen]
	Forced bool        // open until a method changes the state
	Why    string      // why it is in that state, as in [Change]
	Fault  fault.Fault // the failure that opened it; zero if it was none

	until time.Duration // the end of the cooldown
	gen   uint32
}

// lasts reports whether a call at now is rejected for as long as this state lasts.
func (e *OpenError) lasts(now time.Duration) bool {
	return e.State == Open && (e.Forced || now < e.until)
}

// Remaining returns the rest of the cooldown now. It is 0 if the cooldown is over, if the breaker
// is half-open, and if it is forced open.
func (e *OpenError) Remaining() time.Duration {
	if e.State != Open || e.Forced {
		return 0
	}
	return max(e.until-clock.Now(), 0)
}

func (e *OpenError) Error() string {
	text := titled(e.Name)
	switch {
	case e.Forced:
		return text + " is forced open"
	case e.State == HalfOpen:
		return text + " is half-open and its probes are under way"
	}
	text += " is open for another " + rounded(e.Remaining()).String() + " (" + e.Why
	if e.Fault.Detail != "" {
		text += ": " + e.Fault.Detail
	}
	return text + ")"
}

// rounded drops digits that have no use in a text.
func rounded(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second)
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}

// Is makes every OpenError match [ErrOpen].
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// DescribeFault returns an Overloaded fault that was never sent, with the rest of the cooldown. It
// is Final, so that no outer policy retries during the cooldown.
func (e *OpenError) DescribeFault() fault.Fault {
	return fault.Fault{
		Kind: fault.Overloaded, Sent: fault.NotSent, Final: true,
		After: e.Remaining(), Detail: "breaker open", Err: e,
	}
}

func titled(name string) string {
	if name == "" {
		return "breaker"
	}
	return "breaker " + name
}
