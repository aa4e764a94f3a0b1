package fault

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// RateLimit is what a response's headers state about one of the server's limits.
type RateLimit struct {
	// Name distinguishes the limits of one response: "requests", "input-tokens", "tokens-minute". It
	// is what the header's name has beside the usual parts, in lower case, or the name in a
	// RateLimit header. Empty: the header has no other parts.
	Name string

	Limit     float64       // in each window; -1 = not stated
	Remaining float64       // of the window; -1 = not stated
	Reset     time.Duration // until there is more; 0 = not stated, or past
	Window    time.Duration // 0 = not stated
}

// RateLimits returns the limits that a response's headers state, by name. It reads the headers that
// [ParseRetryAfter] reads: x-ratelimit-*, anthropic-ratelimit-* and others like them, and RateLimit
// and RateLimit-Policy of the IETF's draft. The header is an http.Header, received at now.
func RateLimits(header map[string][]string, now time.Time) []RateLimit {
	l := limits{response: header, received: now}
	for name, values := range header {
		if isLimit(name) && len(values) > 0 {
			l.header(name, values[0])
		}
	}
	for _, v := range header["Ratelimit"] {
		l.draft(v)
	}
	for _, v := range header["Ratelimit-Policy"] {
		l.policies(v)
	}
	slices.SortFunc(l.list, func(a, b RateLimit) int { return strings.Compare(a.Name, b.Name) })
	return l.list
}

// limits collects the parts of limits, which headers state one by one and in any order.
type limits struct {
	response map[string][]string
	received time.Time
	now      time.Time // of the server; zero until a reset needs it
	list     []RateLimit
}

// reset sets the time until a limit's reset. Of two resets of one limit the later counts.
func (l *limits) reset(limit *RateLimit, value string) {
	// Resets are in the server's time, and its clock may differ. To read its Date costs more than all
	// else that there is to read in a response without limits.
	if l.now.IsZero() {
		l.now = serverTime(l.response, l.received)
	}
	d, _ := parseReset(value, l.now)
	limit.Reset = max(limit.Reset, d)
}

// named returns the limit of the name given.
func (l *limits) named(name string) *RateLimit {
	for i := range l.list {
		if l.list[i].Name == name {
			return &l.list[i]
		}
	}
	l.list = append(l.list, RateLimit{Name: name, Limit: -1, Remaining: -1})
	return &l.list[len(l.list)-1]
}

// isLimit matches the names in use: GitHub's and OpenAI's, the IETF's, X's, and Anthropic's.
func isLimit(name string) bool {
	return strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Ratelimit-") ||
		strings.HasPrefix(name, "X-Rate-Limit-") || strings.Contains(name, "-Ratelimit-")
}

// header adds what one header states. Its name has the limit's name and one of Limit, Remaining and
// Reset, in any order. Discord's X-RateLimit-Reset-After goes with X-RateLimit-Remaining.
func (l *limits) header(name, value string) {
	parts := strings.Split(strings.ToLower(name), "-")
	rest, what := make([]string, 0, len(parts)), ""
	for _, part := range parts[prefixParts(parts):] {
		switch part {
		case "limit", "remaining", "reset":
			what = part
		case "after":
		default:
			rest = append(rest, part)
		}
	}
	if what == "" {
		return // such as X-RateLimit-Used, and Ratelimit-Policy
	}
	limit := l.named(strings.Join(rest, "-"))
	switch what {
	case "limit":
		limit.Limit = count(value)
	case "remaining":
		limit.Remaining = count(value)
	case "reset":
		l.reset(limit, value)
	}
}

// prefixParts is how many parts of a header's name say no more than that there is a limit: up to
// the one that is called ratelimit, with the vendor's before.
func prefixParts(parts []string) int {
	for i, part := range parts {
		if part == "ratelimit" {
			return i + 1
		}
	}
	return 3 // X-Rate-Limit-Reset
}

// count reads a number; -1 if it is none, as some servers send for a limit that is not known.
func count(s string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(n >= 0) {
		return -1
	}
	return n
}

// draft adds the limits of a RateLimit header: "name";r=0;t=30, … since the eighth draft, and
// limit=100, remaining=0, reset=30 until the seventh.
func (l *limits) draft(v string) {
	for member := range splitQuoted(v, ',') {
		name, limit := "", (*RateLimit)(nil)
		for param := range splitQuoted(member, ';') {
			key, value, ok := strings.Cut(param, "=")
			if !ok {
				name = strings.Trim(key, `"`)
				continue
			}
			// Up to the seventh draft the members of the list are the parameters of one limit.
			if limit == nil {
				limit = l.named(name)
			}
			switch key {
			case "limit":
				limit.Limit = count(value)
			case "r", "remaining":
				limit.Remaining = count(value)
			case "t", "reset":
				l.reset(limit, value)
			}
		}
	}
}

// policies adds the quotas and windows of a RateLimit-Policy header: "name";q=100;w=60.
func (l *limits) policies(v string) {
	for member := range splitQuoted(v, ',') {
		name, quota, window := "", -1.0, time.Duration(0)
		for param := range splitQuoted(member, ';') {
			switch key, value, ok := strings.Cut(param, "="); {
			case !ok:
				name = strings.Trim(key, `"`)
			case key == "q":
				quota = count(value)
			case key == "w":
				window, _ = parseNumber(value, time.Second)
			}
		}
		if quota >= 0 {
			limit := l.named(name)
			limit.Limit, limit.Window = quota, window
		}
	}
}

// reached reports whether one of the limits has nothing remaining, and the time until there is
// more: the longest reset of those. A limit whose remainder is not stated may be the one that was
// reached, so its reset counts if no other is known.
func reached(h map[string][]string, now time.Time) (spent bool, reset time.Duration) {
	var unsure time.Duration
	for _, limit := range RateLimits(h, now) {
		switch {
		case limit.Remaining == 0:
			spent = true
			reset = max(reset, limit.Reset)
		case limit.Remaining < 0:
			unsure = max(unsure, limit.Reset)
		}
	}
	if reset == 0 {
		reset = unsure
	}
	return spent, reset
}

func spent(h map[string][]string, now time.Time) bool {
	spent, _ := reached(h, now)
	return spent
}

// splitQuoted yields the parts of s between separators outside of quotes, spaces trimmed. Names of
// policies are quoted strings, which may have commas and semicolons in them.
func splitQuoted(s string, sep byte) func(yield func(string) bool) {
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
