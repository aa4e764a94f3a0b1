package breaker

import (
	"errors"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/clock"
)

// ErrOpen matches, under [errors.Is], every refusal of a breaker.
var ErrOpen = errors.New("breaker open")

// OpenError is a refusal: the breaker is open, or half-open with all its probes under way. There
// is one for each change of state, shared by all calls refused until the next.
type OpenError struct {
	Name   string
	State  State       // [Open] or [HalfOpen]
	Forced bool        // open until another state is asked for
	Why    string      // why it is in that state, as in [Change]
	Fault  fault.Fault // the failure that opened it; zero if it was none

	until time.Duration // the end of the cooldown
	gen   uint32
}

// lasts reports whether calls at now are refused as long as this state lasts.
func (e *OpenError) lasts(now time.Duration) bool {
	return e.State == Open && (e.Forced || now < e.until)
}

// Remaining is what is left of the cooldown at the moment of asking: 0 if it is over, if the
// breaker is half-open, and if it is forced open, for an unknown time.
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

// DescribeFault returns that the call was never sent, and that a retry would be rejected as well
// before the cooldown is over: Final, so that no layer above waits and retries.
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
