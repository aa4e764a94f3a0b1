// Package limit bounds what is asked of a service before anything fails: how many attempts run at
// a time, and how many begin in a period.
//
//   - [Concurrency] bounds the attempts under way.
//   - [Rate] bounds the attempts, or tokens, or bytes, in a period.
//   - [Adaptive] bounds the attempts under way by what the service's latency allows.
//   - [Throttle] rejects a share of the attempts when the service rejects many.
//   - [Group] holds a limit for each key, such as each host or model.
//
// Every limit is a [gate.Gate]: list it in rebound.Policy.Gates, in the order rate, throttle,
// concurrency. Each attempt enters anew, so retries are limited as well, and no permit is held
// during a delay. A rejection is an [*Error]. It ends the call, and its classification holds the
// time until there is room.
package limit

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// Errors that match, under [errors.Is], every rejection of a kind of limit.
var (
	ErrFull = errors.New("concurrency limit reached") // by a Concurrency or an Adaptive
	ErrRate = errors.New("rate limit reached")        // by a Rate
	ErrShed = errors.New("attempt shed")              // by a Throttle
)

// Snapshot is the state of a limit at one moment: plain data, ready for JSON.
type Snapshot struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // "concurrency", "rate", "adaptive" or "throttle"

	// Limit is the most attempts at a time, for the kinds concurrency and adaptive. It is the
	// tokens per second for the kind rate, where 0 is unknown, and the share of attempts that may
	// pass for the kind throttle.
	Limit float64 `json:"limit"`

	InFlight int `json:"in_flight"` // attempts under way; 0 for the kinds rate and throttle
	Waiting  int `json:"waiting"`   // attempts that wait in Enter

	// Level is what can be taken at once: permits, or tokens for the kind rate, where it is
	// negative while the limit is in debt. 0 if it is unknown.
	Level float64 `json:"level"`

	Refused uint64 `json:"refused"` // attempts rejected so far
}

// Error is the rejection of one limit. The limit has one Error, shared by all its rejections.
type Error struct {
	Name string // of the limit

	is     error // ErrFull, ErrRate or ErrShed
	kind   fault.Kind
	detail string
	room   func() time.Duration // until there is room, asked anew each time; nil: unknown
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %v (%s)", titled("limit", e.Name), e.is, e.detail)
}

// Is reports whether target is the sentinel of the limit's kind, such as [ErrRate].
func (e *Error) Is(target error) bool { return target == e.is }

// DescribeFault returns the rejection's classification for [fault.Of]: RateLimited for a Rate and
// Overloaded for the others, never sent, to be retried when there is room.
func (e *Error) DescribeFault() fault.Fault {
	f := fault.Fault{Kind: e.kind, Sent: fault.NotSent, Detail: e.is.Error(), Err: e}
	if e.room != nil {
		f.After = max(e.room(), 0)
	}
	return f
}

// RateError returns the rejection of a custom rate limit, which matches [ErrRate]. The detail is
// the limit in words. The function room returns the time until there is room, and is called for
// each classification; nil means that this is unknown.
func RateError(name, detail string, room func() time.Duration) *Error {
	return &Error{Name: name, is: ErrRate, kind: fault.RateLimited, detail: detail, room: room}
}

// theError returns the one Error of a limit, which is like e, so that a storm of rejections
// allocates nothing.
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

// finite reports whether x is a number that a limit can count with.
func finite(x float64) bool { return math.Abs(x) <= math.MaxFloat64 }

func titled(kind, name string) string {
	if name == "" {
		return kind
	}
	return kind + " " + name
}
