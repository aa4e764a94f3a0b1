package breaker

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/circuit"
)

// State is the state of a breaker. It prints, and marshals to text, as "closed", "open" or
// "half-open". A breaker that is forced open or closed is Open or Closed; its [Snapshot] shows that
// it is forced.
type State uint8

const (
	Closed   State = iota // calls go through
	Open                  // calls are rejected
	HalfOpen              // some calls go through, as probes
)

// String returns the state's name, or "invalid" for a value out of range.
func (s State) String() string {
	if s > HalfOpen {
		return "invalid"
	}
	return [...]string{"closed", "open", "half-open"}[s]
}

// MarshalText makes a State a word in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name that MarshalText has written. It returns an error for any other text.
func (s *State) UnmarshalText(text []byte) error {
	for *s = Closed; *s <= HalfOpen; *s++ {
		if s.String() == string(text) {
			return nil
		}
	}
	*s = Closed
	return fmt.Errorf("breaker: no state is called %q: want closed, open or half-open", text)
}

// Change is a change of state. From and To are the same if only Forced changed.
type Change struct {
	Name     string
	From, To State
	Forced   bool        // To lasts until a method changes the state
	Why      string      // such as "failure rate" or "probe failed"; "asked for": by a method
	Fault    fault.Fault // the failure that caused the change; zero = it had another cause
	At       time.Time
	Shadow   bool // of a breaker that rejects nothing
}

// Snapshot is the state and the counts of a breaker at one moment: plain data, ready for JSON.
type Snapshot struct {
	Name   string `json:"name"`
	State  State  `json:"state"` // as of [Breaker.State], but as if Shadow were false
	Forced bool   `json:"forced,omitempty"`
	Shadow bool   `json:"shadow,omitempty"` // it rejects nothing

	Since    time.Time `json:"since,omitzero"`      // of the last change of state; zero: none yet
	Why      string    `json:"why,omitempty"`       // the reason of that change
	Opened   int       `json:"opened"`              // how often it has opened
	OpenedBy string    `json:"opened_by,omitempty"` // the failure that opened it last

	// Rejected is the number of calls rejected so far, and RejectedNow is the number since the breaker
	// opened last. A Shadow counts the calls that it would have rejected.
	Rejected    uint64 `json:"rejected"`
	RejectedNow uint64 `json:"rejected_now"`

	// Remaining is the rest of the cooldown, in nanoseconds in JSON. It is 0 if the breaker is not
	// open, or forced.
	Remaining time.Duration `json:"remaining_ns"`

	Failures    int     `json:"failures"`     // in a row; those that opened it, if open
	Calls       uint64  `json:"calls"`        // in the window, as all that follow; without
	Failed      uint64  `json:"failed"`       // Rate and SlowRate there is no window,
	Slow        uint64  `json:"slow"`         // and these are 0
	FailureRate float64 `json:"failure_rate"` // Failed / Calls
	SlowRate    float64 `json:"slow_rate"`    // Slow / Calls

	Probing      int `json:"probing"`       // half-open: probes under way
	Succeeded    int `json:"succeeded"`     // half-open: probes that succeeded
	FailedProbes int `json:"failed_probes"` // half-open: probes that failed or were slow

	// Generation grows by one with every change of state. Results of calls that were admitted in an
	// earlier generation are ignored.
	Generation uint32 `json:"generation"`
}

// fill copies the state machine at now. An open breaker whose cooldown is over counts as half-open,
// although no probe has begun. The snapshot then has the state, the time and the reason that the
// next call will find.
func (v *Snapshot) fill(s *circuit.Machine, now time.Duration) {
	v.State, v.Forced, v.Generation = State(s.State(now)), s.Word.Forced(), s.Word.Gen()
	v.Remaining = s.Remaining(now)
	v.Failures = s.Word.Failures()
	if v.State == HalfOpen && s.Word.State() == circuit.Open {
		v.Since, v.Why = time.Now().Add(s.At-now), circuit.WhyCooled
	}
	if s.Word.State() == circuit.HalfOpen {
		v.Probing, v.Succeeded = s.Word.Probing(), s.Word.Passed()
		v.FailedProbes = int(s.FailedProbes)
	}
	if s.Win != nil {
		t := s.Win.Totals()
		v.Calls, v.Failed, v.Slow = t.Calls, t.Failed, t.Slow
		v.FailureRate, v.SlowRate = t.Rate(t.Failed), t.Rate(t.Slow)
	}
}
