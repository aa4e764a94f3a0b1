// Package limit bounds the load on a service: the number of attempts at a time, and the number in a
// period.
//
//   - [Concurrency] bounds the attempts under way.
//   - [Rate] bounds the attempts, the tokens or the bytes in a period.
//   - [Adaptive] bounds the attempts under way by a limit that follows the service's latency.
//   - [Throttle] rejects a share of the attempts while the service rejects many.
//   - [Group] holds a limit for each key, such as each host or model.
//
// Every limit is a [gate.Gate]. List limits in rebound.Policy.Gates, in the order rate, throttle,
// concurrency. Each attempt enters them anew, so retries are limited too, and no permit is held
// during a delay. A rejection is an [*Error] and ends the call. Its classification holds the time
// until there is room.
package limit

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// Each rejection matches one of these errors, by errors.Is.
var (
	ErrFull = errors.New("concurrency limit reached") // by a Concurrency or an Adaptive
	ErrRate = errors.New("rate limit reached")        // by a Rate
	ErrShed = errors.New("attempt shed")              // by a Throttle
)

// Snapshot is the state of a limit at one moment: plain data, ready for JSON.
type Snapshot struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // "concurrency", "rate", "adaptive" or "throttle"

	// Limit is the largest number of attempts at a time for the kinds concurrency and adaptive. For
	// the kind rate it is the tokens per second, or 0 if unknown. For the kind throttle it is the
	// share of attempts that is admitted.
	Limit float64 `json:"limit"`

	InFlight int `json:"in_flight"` // attempts under way; 0 for the kinds rate and throttle
	Waiting  int `json:"waiting"`   // attempts that wait in Enter

	// Level is the number of permits, or of tokens for the kind rate, that can be taken at once. It is
	// negative while a rate limit is in debt, and 0 if it is unknown.
	Level float64 `json:"level"`

	Rejected uint64 `json:"rejected"` // attempts rejected so far
}

// Error is the rejection by one limit. A limit has a single Error, which all its rejections share.
type Error struct {
	Name string // of the limit

	is     error // ErrFull, ErrRate or ErrShed
	kind   fault.Kind
	detail string
	// room returns the time until there is room, or is nil if that is unknown. The time changes while
	// the Error does not, so room is called whenever the error is classified.
	room func() time.Duration
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %v (%s)", titled("limit", e.Name), e.is, e.detail)
}

// Is reports whether target is the sentinel of the limit's kind, such as [ErrRate].
func (e *Error) Is(target error) bool { return target == e.is }

// DescribeFault returns the rejection's classification for [fault.Of]: RateLimited for a Rate and
// Overloaded for the others. It was never sent, and may be retried when there is room.
func (e *Error) DescribeFault() fault.Fault {
	f := fault.Fault{Kind: e.kind, Sent: fault.NotSent, Detail: e.is.Error(), Err: e}
	if e.room != nil {
		f.After = max(e.room(), 0)
	}
	return f
}

// RateError returns the rejection of a custom rate limit. It matches [ErrRate]. detail describes
// the limit in the error's text. room returns the time until there is room, and is called for each
// classification. A nil room means that the time is unknown.
func RateError(name, detail string, room func() time.Duration) *Error {
	return &Error{Name: name, is: ErrRate, kind: fault.RateLimited, detail: detail, room: room}
}

// theError returns the one Error of a limit and makes it from e the first time. So many rejections
// allocate nothing.
func theError(at *atomic.Pointer[Error], e Error) error {
	if at.Load() == nil {
		first := e // e itself must stay on the stack
		at.CompareAndSwap(nil, &first)
	}
	return at.Load()
}

// invalid is the error of a Validate method.
func invalid(kind, name, field string, got any, want string) error {
	return fmt.Errorf("%s: %s is %v: want %s", titled("limit."+kind, name), field, got, want)
}

// finite reports whether x is a number and not infinite.
func finite(x float64) bool { return math.Abs(x) <= math.MaxFloat64 }

// titled is the kind of a limit with its name, if it has one.
func titled(kind, name string) string {
	if name == "" {
		return kind
	}
	return kind + " " + name
}
