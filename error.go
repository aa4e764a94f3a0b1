package rebound

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/errtree"
	"github.com/rebound-go/rebound/internal/mark"
)

// Reason is why a call stopped. It is an error, so errors.Is(err, rebound.OutOfBudget) finds it.
// Its value is a stable word, such as "out_of_budget", for logs, metrics and JSON.
type Reason string

const (
	Exhausted      Reason = "exhausted"       // every attempt allowed was made
	NotRetryable   Reason = "not_retryable"   // the failure is permanent, or RetryIf returned false
	Canceled       Reason = "canceled"        // the caller's context ended
	PastDeadline   Reason = "past_deadline"   // the delay would have passed the context's deadline
	PastElapsed    Reason = "past_elapsed"    // the delay or the attempt would have passed MaxElapsed
	OutOfBudget    Reason = "out_of_budget"   // the retry budget is empty
	Rejected       Reason = "rejected"        // a breaker or another gate rejected the attempt
	NotIdempotent  Reason = "not_idempotent"  // the server may have acted, and must not act twice
	WaitTooLong    Reason = "wait_too_long"   // the Retry-After delay is longer than MaxRetryAfter
	AlreadyRetried Reason = "already_retried" // an inner policy has retried the failure already
	Invalid        Reason = "invalid"         // the policy, or its use, is invalid: see Cause, or Err
)

// Error returns the word itself.
func (r Reason) Error() string { return string(r) }

func (r Reason) words() string { return strings.ReplaceAll(string(r), "_", " ") }

// ErrUnset matches, by errors.Is, the error of an [Attempts] loop whose body did not assign the
// loop's error variable. The usual cause is an inner := that shadows the variable.
var ErrUnset = errors.New(
	"the loop's body did not assign its error: is it shadowed by an inner := ?")

// Error is the error of a call that failed. Its text has this form:
//
//	rebound: ocr: attempt 3 of 3: status 503: service unavailable (exhausted after 1.2s)
//
// errors.Is and errors.As find the Reason and everything in Err and Cause. The errors of attempts
// before the last are not kept.
type Error struct {
	Policy   string        // the policy's name
	Attempts int           // attempts made; 0 = none, as when a gate rejected the first
	Reason   Reason        // why there was no further attempt
	Fault    fault.Fault   // what the last attempt's failure meant
	Limit    int           // attempts that the policy allows; 0 = no limit
	Elapsed  time.Duration // since the call began; 0 if the policy needs no clock
	Err      error         // the last attempt's error; nil if there was no attempt
	Cause    error         // the error that ended the call from outside, such as a gate's; or nil

	ctxErr error // the context's Err, which Cause may not be, for Is
}

// Error describes the failure in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("rebound: ")
	if e.Policy != "" {
		b.WriteString(e.Policy + ": ")
	}
	if e.Attempts > 0 {
		b.WriteString("attempt " + strconv.Itoa(e.Attempts))
		if e.Limit > 0 {
			b.WriteString(" of " + strconv.Itoa(e.Limit))
		}
		b.WriteString(": " + e.lastText() + " ")
	}
	b.WriteString("(" + e.Reason.words())
	if e.Elapsed > 0 {
		b.WriteString(" after " + rounded(e.Elapsed).String())
	}
	if why := e.causeText(); why != "" {
		b.WriteString(": " + why)
	}
	b.WriteString(")")
	return b.String()
}

// lastText returns the last error's text. The fault's Detail stands before it, unless the text
// contains the Detail.
func (e *Error) lastText() string {
	if e.Err == nil {
		return e.Fault.Detail
	}
	text := textOf(e.Err)
	if e.Fault.Detail == "" || strings.Contains(text, e.Fault.Detail) {
		return text
	}
	return e.Fault.Detail + ": " + text
}

func (e *Error) causeText() string {
	switch {
	case e.Cause != nil:
		return textOf(e.Cause)
	case e.Fault.After > 0 && slices.Contains(bounds, e.Reason):
		return fmt.Sprintf("Retry-After delay of %v", e.Fault.After)
	}
	return ""
}

// bounds are the reasons that mean that a delay was too long.
var bounds = []Reason{WaitTooLong, PastDeadline, PastElapsed}

// textOf is err's text, even if err is a nil pointer whose Error method panics.
func textOf(err error) string { return fmt.Sprint(err) }

// rounded keeps about three digits of d.
func rounded(d time.Duration) time.Duration {
	for unit := time.Duration(1); unit < time.Hour; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second)
}

// Unwrap returns Err, the last attempt's error.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the last attempt timed out. It serves callers that check for a net.Error
// or a url.Error.
func (e *Error) Timeout() bool { return fault.IsTimeout(e.Err) }

// Is reports whether target is the Reason, or is in Cause.
func (e *Error) Is(target error) bool {
	if r, ok := target.(Reason); ok && r == e.Reason {
		return true
	}
	return e.Cause != nil && errors.Is(e.Cause, target) ||
		e.ctxErr != nil && errors.Is(e.ctxErr, target)
}

// As finds the Reason, what is in Err, and what is in Cause, in this order.
func (e *Error) As(target any) bool {
	if r, ok := target.(*Reason); ok {
		*r = e.Reason
		return true
	}
	if e.Err != nil && errors.As(e.Err, target) {
		return true // before Cause, which may hold another call's error of the same type
	}
	return e.Cause != nil && errors.As(e.Cause, target)
}

// DescribeFault returns what the call's failure means to an outer policy: the fault of the last
// attempt. The fault is Final, so that the outer policy does not retry it, if this policy has
// retried the call or must not retry it.
func (e *Error) DescribeFault() fault.Fault {
	f := e.Fault
	if e.Err == nil {
		f = e.rejectedFault()
	}
	switch e.Reason {
	case Exhausted, PastElapsed, OutOfBudget, WaitTooLong:
		f.Final = f.Final || e.Attempts >= 2
	case AlreadyRetried, NotIdempotent, Invalid, Rejected:
		f.Final = true
	case Canceled:
		f = e.canceledFault(f)
	}
	return f
}

// permanentBelow reports whether err is from an inner policy that stopped because of a Permanent
// mark. Such a mark also outranks the Classify and RetryIf of outer policies, unless err itself is
// marked.
func permanentBelow(err error) bool {
	if mark.On(err) {
		return false
	}
	e, ok := errtree.As[*Error](err)
	if !ok || e.Reason != NotRetryable {
		return false
	}
	return e.Fault.Kind == fault.Permanent && mark.On(e.Err) || permanentBelow(e.Err)
}

// rejectedFault is the fault of a call without attempts, for which nothing was sent. A rejection
// that does not describe itself counts as RateLimited: it shows that callers are limited, and
// proves nothing about the service.
func (e *Error) rejectedFault() fault.Fault {
	f := fault.Fault{Kind: fault.RateLimited}
	switch {
	case e.Reason == Invalid:
		f.Kind = fault.Permanent
	case e.Cause != nil:
		if g := fault.Of(e.Cause); g.Kind != fault.Unknown && g.Kind != fault.None {
			f = g
		}
	}
	f.Sent = fault.NotSent
	return f
}

// canceledFault returns what the end of this call's context means to an outer call, whose own
// context may not have ended. A deadline is a timeout of the outer call's attempt. Anything else is
// a cancellation.
func (e *Error) canceledFault(f fault.Fault) fault.Fault {
	f.Kind = fault.Canceled
	if errors.Is(e.ctxErr, context.DeadlineExceeded) {
		f.Kind = fault.Transient
	}
	return f
}

// Permanent marks err as permanent: it is not retried, even if a classifier or RetryIf would allow
// it. The mark does not change the error's text. Permanent(nil) is nil.
func Permanent(err error) error { return mark.New(err, fault.Permanent, 0) }

// Transient marks err as transient: it may be retried, even if a classifier or RetryIf would forbid
// it, or an inner policy has already retried it. A NonIdempotent policy still retries it only if it
// proves that the server did not act. Transient(nil) is nil.
func Transient(err error) error { return mark.New(err, fault.Transient, 0) }

// RetryAfter marks err as rate limited, with a Retry-After delay of d: the delay before the retry
// is at least d. If d is 0 or less, the policy's backoff alone decides. RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error { return mark.New(err, fault.RateLimited, d) }
