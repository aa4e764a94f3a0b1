// Package preset holds policies for the usual cases:
//
//	policy     attempts  delays, and 0 to 50 % jitter  retries
//	Default        3     1s → 2s                       timeouts, connections, 5xx, 408, 425, 429
//	Aggressive     5     500ms → 1s → 2s → 4s          those, and other I/O errors
//	RateLimit      5     2s → 6s → 18s → 54s           all but answers, permanent, canceled
//	Conservative   2     2s                            timeouts
//
// No delay is longer than 60 s, or 120 s in RateLimit, unless the server asks for it. All but
// RateLimit stop at an unknown error. To have an error retried, mark it with [rebound.Transient].
// Other fields are those of the zero Policy, so a Retry-After delay is obeyed.
//
// Every function returns a new policy, which may be changed before its first use. Keep the policy
// and share it. It holds a retry budget, which limits nothing if each call has a new policy.
package preset

import (
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/internal/retryclass"
)

// Default is for calls that a person waits for: 3 attempts, 1s → 2s. It retries timeouts,
// connection failures, and transient failures of a server: a status of 5xx, 408, 425 or 429, or a
// deadlock.
func Default() *rebound.Policy {
	return &rebound.Policy{
		Name:     "default",
		Attempts: 3,
		Backoff:  growing(time.Second, 2, time.Minute),
		RetryIf:  retryclass.Any(retryclass.Timeout, retryclass.Connection, retryclass.Server),
	}
}

// Aggressive is for calls whose success matters more than the load: 5 attempts, 500ms → 1s → 2s →
// 4s. It retries the same failures as Default, and other I/O errors of the operating system.
func Aggressive() *rebound.Policy {
	return &rebound.Policy{
		Name:     "aggressive",
		Attempts: 5,
		Backoff:  growing(500*time.Millisecond, 2, time.Minute),
		RetryIf: retryclass.Any(retryclass.Timeout, retryclass.Connection, retryclass.Server,
			retryclass.IO),
	}
}

// RateLimit is for services with rate limits: 5 attempts, 2s → 6s → 18s → 54s. It retries every
// failure except answers, permanent failures and cancellation. The delays after a rate limit are
// the same.
func RateLimit() *rebound.Policy {
	waits := growing(2*time.Second, 3, 2*time.Minute)
	return &rebound.Policy{
		Name:      "rate-limit",
		Attempts:  5,
		Backoff:   waits,
		Throttled: waits,
	}
}

// Conservative is for expensive calls: 2 attempts, with a delay of 2s. It retries only timeouts.
// For calls that must not happen twice, set NonIdempotent as well.
func Conservative() *rebound.Policy {
	return &rebound.Policy{
		Name:     "conservative",
		Attempts: 2,
		Backoff:  growing(2*time.Second, 2, time.Minute),
		RetryIf:  retryclass.Any(retryclass.Timeout),
	}
}

// growing returns the delays base, base·factor, base·factor², … up to longest. Jitter lengthens
// each by up to half.
func growing(base time.Duration, factor float64, longest time.Duration) backoff.Backoff {
	return backoff.Exponential{
		Base: base, Factor: factor, Max: longest, Jitter: backoff.Additive(0.5),
	}
}
