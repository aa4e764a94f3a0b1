package reboundtemporal

import (
	"math"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/rebound-go/rebound"
)

const (
	// The server takes an interval of 0 for its default of a second.
	shortest = time.Millisecond
	// Room for a Retry-After delay in MaximumInterval.
	roomy = 5 * time.Minute
	// The number of delays that stands for an unlimited policy.
	many = 256
)

// unseen are the failures that the server finds by itself, in the words of its retry policy. The
// activity may have done its work in each.
var unseen = []string{"TemporalTimeout:StartToClose", "TemporalTimeout:Heartbeat", "PanicError"}

// RetryPolicy returns the part of a policy that Temporal can store, for workflow.ActivityOptions.
// Temporal multiplies each delay by a constant factor, without jitter:
//
//   - InitialInterval is the first delay, 1 ms or more.
//   - BackoffCoefficient is the factor from the first delay to the second, 1 or more.
//   - MaximumInterval is the longest delay of Backoff and Throttled, 5/4 of MaxRetryAfter, or 5
//     minutes, whichever is most. The server shortens a delay of [Interceptor] that is longer.
//   - MaximumAttempts is the policy's attempts, and 0 for [rebound.Unlimited].
//   - NonRetryableErrorTypes has timeouts and panics if the policy is NonIdempotent.
//
// The zero policy, or nil, makes 3 attempts, and its first delay is 100 ms. An invalid policy makes
// one attempt. RetryPolicy reads no clock and draws no random number, so a workflow may call it.
func RetryPolicy(p *rebound.Policy) *temporal.RetryPolicy {
	r := &temporal.RetryPolicy{MaximumAttempts: 1}
	if p == nil {
		p = &rebound.Policy{}
	}
	if p.Validate() == nil {
		r.MaximumAttempts = int32(min(max(p.MaxAttempts(), 0), math.MaxInt32))
	}
	first := p.Schedule(2)
	r.InitialInterval = max(first[0], shortest)
	r.BackoffCoefficient = max(float64(first[1])/float64(r.InitialInterval), 1)
	r.MaximumInterval = max(longest(p), r.InitialInterval)
	if p.NonIdempotent {
		r.NonRetryableErrorTypes = append(r.NonRetryableErrorTypes, unseen...)
	}
	return r
}

// longest returns the longest delay of the policy.
func longest(p *rebound.Policy) time.Duration {
	n := many
	if limit := p.MaxAttempts(); limit > 0 {
		n = min(limit, many)
	}
	throttled := p.Clone()
	if p.Throttled != nil {
		throttled.Backoff = p.Throttled
	}
	delays := append(p.Schedule(n), throttled.Schedule(n)...)
	longest := slices.Max(delays)
	if p.Throttled == nil && longest < math.MaxInt64/4 {
		longest *= 4 // what stands for Throttled
	}
	asked := min(max(p.MaxRetryAfter, 0), math.MaxInt64/5*4)
	return max(longest, asked+asked/4, roomy)
}
