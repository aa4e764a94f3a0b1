package reboundhttp

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// RetryAfter reads the wait that a response asks for: that of Retry-After-Ms, Retry-After or
// X-Amz-Retry-After, as fault.ParseRetryAfter has it, if any of them is there, else the time until the
// rate limit that was hit is reset. now is what times are compared to if the response has no Date.
//
// Limits are told by x-ratelimit-reset-*, anthropic-ratelimit-*-reset, X-RateLimit-Reset and its
// like, and the RateLimit of the IETF's draft, in seconds, as a time in seconds or milliseconds
// since 1970, as a time of RFC 3339 or as a duration like 6m0s. Of several, those count that have
// nothing remaining, else those that do not tell, and of these the one that takes longest.
//
// ok is false if no wait is asked for, or none that makes sense: a negative or malformed value, or
// more than 146 years, is not replaced by what other headers say. A date of Retry-After that is
// past is a wait of 0; a reset that is past is none.
func RetryAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	for _, name := range [...]string{"Retry-After-Ms", "Retry-After", "X-Amz-Retry-After"} {
		if len(h[name]) > 0 {
			return asked(h, now)
		}
	}
	return limitReset(h, now)
}

// tooLong is what fault.ParseRetryAfter cuts longer waits to.
const tooLong = time.Duration(1 << 62)

// asked is RetryAfter without rate limits.
func asked(h http.Header, now time.Time) (time.Duration, bool) {
	if d, ok := fault.ParseRetryAfter(h, now); ok && d < tooLong {
		return d, true
	}
	return 0, false
}

// limitReset is the time until the rate limit that was hit is reset.
func limitReset(h http.Header, now time.Time) (time.Duration, bool) {
	if served, err := http.ParseTime(h.Get("Date")); err == nil {
		now = served
	}
	var s resets
	for name, values := range h {
		remaining, ok := remainingFor(name)
		if ok && len(values) > 0 {
			s.add(values[0], h.Get(remaining), now)
		}
	}
	for _, v := range h["Ratelimit"] {
		s.draft(v, now)
	}
	if s.hit > 0 {
		return s.hit, true
	}
	return s.unsure, s.unsure > 0
}

// remainingFor returns the name of the header that says what remains of a limit, for one that says
// when it is reset.
func remainingFor(name string) (string, bool) {
	limit := strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Ratelimit-") ||
		strings.HasPrefix(name, "X-Rate-Limit-") || strings.Contains(name, "-Ratelimit-")
	if !limit || !strings.Contains(name, "Reset") {
		return "", false
	}
	return strings.Replace(name, "Reset", "Remaining", 1), true
}

// resets are the longest waits for the limits seen so far.
type resets struct {
	hit    time.Duration // nothing remains of these
	unsure time.Duration // these do not say
}

func (s *resets) add(at, remaining string, now time.Time) {
	d := until(strings.TrimSpace(at), now)
	left, err := strconv.ParseFloat(strings.TrimSpace(remaining), 64)
	switch {
	case err != nil || left < 0:
		s.unsure = max(s.unsure, d)
	case left == 0:
		s.hit = max(s.hit, d)
	}
}

// draft adds the limits of a RateLimit header: "name";r=0;t=30, … since the eighth draft, and
// limit=100, remaining=0, reset=30 until the seventh.
func (s *resets) draft(v string, now time.Time) {
	var left, at string
	for member := range fields(v, ',') {
		var r, t string
		for param := range fields(member, ';') {
			switch key, value, _ := strings.Cut(param, "="); key {
			case "r":
				r = value
			case "t":
				t = value
			case "remaining":
				left = value
			case "reset":
				at = value
			}
		}
		s.add(t, r, now)
	}
	s.add(at, left, now)
}

// fields goes through the parts of s between separators outside of quotes, spaces trimmed.
func fields(s string, sep byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		quoted, start := false, 0
		for i := 0; i <= len(s); i++ {
			switch {
			case i < len(s) && quoted && s[i] == '\\':
				i++
			case i < len(s) && s[i] == '"':
				quoted = !quoted
			case i >= len(s) || s[i] == sep && !quoted:
				if !yield(strings.TrimSpace(s[start:min(i, len(s))])) {
					return
				}
				start = i + 1
			}
		}
	}
}

// until is the time from now to a reset, or 0 if v is none or it is past. A plain number is a time
// since 1970 if it is so large that it could be one: a billion seconds are 31 years.
func until(v string, now time.Time) time.Duration {
	var d time.Duration
	switch {
	case v == "":
	case strings.Trim(v, "0123456789.") == "":
		d = untilNumber(v, now)
	case strings.HasSuffix(v, "s"), strings.HasSuffix(v, "m"), strings.HasSuffix(v, "h"):
		d, _ = time.ParseDuration(v)
	default:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			d = at.Sub(now)
		}
	}
	if d < 0 || d >= tooLong {
		return 0
	}
	return d
}

func untilNumber(v string, now time.Time) time.Duration {
	x, err := strconv.ParseFloat(v, 64)
	switch {
	case err != nil, x >= 1e15:
		return 0
	case x >= 1e12:
		return time.UnixMilli(int64(x)).Sub(now)
	case x >= 1e9:
		return time.UnixMilli(int64(x * 1000)).Sub(now)
	}
	return time.Duration(x * float64(time.Second))
}
