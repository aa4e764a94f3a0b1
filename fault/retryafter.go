package fault

import "time"

// ParseRetryAfter returns the delay that a response asks for. It reads, in this order:
//
//   - Retry-After-Ms, in milliseconds
//   - Retry-After, in seconds, as a date, or as a duration such as 30s
//   - X-Amz-Retry-After, in milliseconds
//   - X-RateLimit-Retry-After, like Retry-After
//   - the reset of the rate limit that was reached, if none of these headers is there:
//     x-ratelimit-reset-*, anthropic-ratelimit-*-reset, X-RateLimit-Reset and others like it, and
//     RateLimit of the IETF's draft, in seconds, as seconds or milliseconds since 1970, as a date,
//     or as a duration such as 6m0s
//
// Of several limits those with nothing remaining count, else those whose remainder is not stated,
// and of these the one that takes longest to reset.
//
// Numbers may have a fraction. A date has one of the three forms of RFC 9110, section 5.6.7, or is
// one of ISO 8601. It is compared to the response's Date, which makes up for a clock that is
// wrong, else to now. A date in the past is a delay of 0, but a reset in the past is none.
//
// ok is false if no delay is asked for, or an invalid one: a negative or malformed value, or more
// than 146 years. The header is an http.Header.
func ParseRetryAfter(header map[string][]string, now time.Time) (delay time.Duration, ok bool) {
	// A header that is invalid is no reason to believe others: the server has asked for something.
	if d, ok, present := requested(header, now); present {
		return d, ok
	}
	_, d := reached(header, now)
	return d, d > 0
}

// requested returns the delay of the headers that state one for this very request. ok reports
// whether there is a valid one, present whether there is any. Several of the headers may come
// together; the most exact comes first.
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
		// A header that cannot be read gives way to the next; a delay in the past is one of 0.
		if d, ok := source.parse(values[0], serverTime(h, now)); ok {
			return max(d, 0), true, true
		}
	}
	return 0, false, present
}

// delayFor returns the delay that a failure's headers ask for, 0 if they ask for none. Rate limits
// count only where one was reached, since many APIs send them with every response.
func delayFor(k Kind, h map[string][]string, now time.Time) time.Duration {
	d, _, present := requested(h, now)
	if !present && k == RateLimited {
		_, d = reached(h, now)
	}
	return d
}
