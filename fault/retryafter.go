package fault

import "time"

// ParseRetryAfter returns the delay that a response asks for. It reads, in this order:
//
//   - Retry-After-Ms, in milliseconds
//   - Retry-After, in seconds, as a date, or as a duration such as 30s
//   - X-Amz-Retry-After, in milliseconds
//   - X-RateLimit-Retry-After, like Retry-After
//   - if there is none of these, the reset of the rate limit that was reached: x-ratelimit-reset-*,
//     anthropic-ratelimit-*-reset, X-RateLimit-Reset and others like them, and RateLimit of the
//     IETF's draft
//
// A reset may be in seconds, in seconds or milliseconds since 1970, a date, or a duration such as
// 6m0s.
//
// If the response states several limits, the longest reset of those with nothing remaining decides.
// If there is none, the longest reset of those that do not state what remains decides.
//
// Numbers may have a fraction. A date has one of the three forms of RFC 9110, section 5.6.7, or one
// of ISO 8601. It is compared with the response's Date header, so that a wrong clock does no harm,
// or else with now. A date in the past is a delay of 0. A reset in the past is ignored.
//
// ok is false if the response asks for no delay, or for an invalid one: a negative or malformed
// value, or more than 146 years. The header is an http.Header.
func ParseRetryAfter(header map[string][]string, now time.Time) (delay time.Duration, ok bool) {
	// If one of these headers is present but invalid, the resets are not used: the server has asked
	// for a delay, and a reset may be much shorter.
	if d, ok, present := requested(header, now); present {
		return d, ok
	}
	_, d := reached(header, now)
	return d, d > 0
}

// requested returns the delay that a header states for this request. ok is true if there is a valid
// header, and present is true if there is any. A response may have several of these headers. The
// most exact one is read first.
func requested(h map[string][]string, now time.Time) (d time.Duration, ok, present bool) {
	for _, source := range [...]struct {
		name  string
		parse func(v string, now time.Time) (time.Duration, bool)
	}{
		{"Retry-After-Ms", parseMilliseconds},
		{"Retry-After", parseDelay},
		{"X-Amz-Retry-After", parseMilliseconds},
		{"X-Ratelimit-Retry-After", parseReset},
	} {
		values, found := h[source.name]
		present = present || found && len(values) > 0
		if len(values) == 0 {
			continue
		}
		// A header that cannot be read gives way to the next one. A delay in the past becomes 0.
		if d, ok := source.parse(values[0], serverTime(h, now)); ok {
			return max(d, 0), true, true
		}
	}
	return 0, false, present
}

// delayFor returns the delay that a failure's headers ask for, or 0. Rate limits count only after a
// failure that is RateLimited, because many APIs send them with every response.
func delayFor(k Kind, h map[string][]string, now time.Time) time.Duration {
	d, _, present := requested(h, now)
	if !present && k == RateLimited {
		_, d = reached(h, now)
	}
	return d
}
