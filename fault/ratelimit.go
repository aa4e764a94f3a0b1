package fault

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// RateLimit is one of a server's limits, as the headers of a response state it.
type RateLimit struct {
	// Name distinguishes the limits of one response, such as "requests", "input-tokens" or
	// "tokens-minute". It is the header's name in lower case, without the words that all such headers
	// have. In a RateLimit header it is the name given there. Empty = the limit has no name.
	Name string

	// Limit is the number of requests, tokens or other units in each window. -1 = not stated.
	Limit float64

	// Remaining is the number of units left in this window. -1 = not stated.
	Remaining float64

	// Reset is the time until more units are available. 0 = not stated, or in the past.
	Reset time.Duration

	// Window is the period to which Limit applies. 0 = not stated.
	Window time.Duration
}

// RateLimits returns the limits that a response's headers state, sorted by name. It reads the
// headers that [ParseRetryAfter] reads: x-ratelimit-*, anthropic-ratelimit-* and others like them,
// and RateLimit and RateLimit-Policy of the IETF's draft. The header is an http.Header. now is the
// time when the response arrived.
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
	// A separate header states the windows; named joins both by the limit's name.
	for _, v := range header["Ratelimit-Policy"] {
		l.policies(v)
	}
	slices.SortFunc(l.list, func(a, b RateLimit) int { return strings.Compare(a.Name, b.Name) })
	return l.list
}

// limits collects the parts of limits, which headers state separately and in any order.
type limits struct {
	response map[string][]string
	received time.Time
	now      time.Time // of the server; zero until a reset needs it
	list     []RateLimit
}

// reset sets the time until a limit's reset. If a limit has two resets, the later one counts.
func (l *limits) reset(limit *RateLimit, value string) {
	// Resets are in the server's time, and its clock may differ. The Date is parsed only when a reset
	// needs it: in a response without limits it would cost more than everything else.
	if l.now.IsZero() {
		l.now = serverTime(l.response, l.received)
	}
	d, _ := parseReset(value, l.now)
	limit.Reset = max(limit.Reset, d)
}

// named returns the limit of that name, which it adds if there is none yet.
func (l *limits) named(name string) *RateLimit {
	for i := range l.list {
		if l.list[i].Name == name {
			return &l.list[i]
		}
	}
	l.list = append(l.list, RateLimit{Name: name, Limit: -1, Remaining: -1})
	return &l.list[len(l.list)-1]
}

// isLimit matches the prefixes in use: those of GitHub and OpenAI, the IETF, X, and Anthropic.
func isLimit(name string) bool {
	return strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Ratelimit-") ||
		strings.HasPrefix(name, "X-Rate-Limit-") || strings.Contains(name, "-Ratelimit-")
}

// header adds what one header states. The header's name holds the limit's name and one of Limit,
// Remaining and Reset, in any order. Discord's X-RateLimit-Reset-After counts as a Reset.
func (l *limits) header(name, value string) {
	parts := strings.Split(strings.ToLower(name), "-")
	rest, what := make([]string, 0, len(parts)), ""
	for _, part := range parts[prefixParts(parts):] {
		switch part {
		case "limit", "remaining", "reset":
			what = part
		// The word belongs to Reset-After, and is not part of a limit's name.
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

// prefixParts returns the number of parts at the start of a header's name that are not the limit's
// name: all parts up to "ratelimit", including a vendor's name.
func prefixParts(parts []string) int {
	for i, part := range parts {
		if part == "ratelimit" {
			return i + 1
		}
	}
	return 3 // X-Rate-Limit-Reset
}

// count reads a number. It returns -1 if there is none, as some servers send for an unknown limit.
func count(s string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(n >= 0) {
		return -1
	}
	return n
}

// draft adds the limits of a RateLimit header. Since the eighth draft it reads "name";r=0;t=30, …
// and until the seventh limit=100, remaining=0, reset=30.
func (l *limits) draft(v string) {
	for member := range splitQuoted(v, ',') {
		name, limit := "", (*RateLimit)(nil)
		for param := range splitQuoted(member, ';') {
			key, value, ok := strings.Cut(param, "=")
			if !ok {
				name = strings.Trim(key, `"`)
				continue
			}
			// Up to the seventh draft, the members of the list are the parameters of one limit.
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
		// A policy without a quota states nothing that a caller could use.
		if quota >= 0 {
			limit := l.named(name)
			limit.Limit, limit.Window = quota, window
		}
	}
}

// reached reports whether one of the limits has nothing remaining, and the time until it has: the
// longest reset of those limits. A limit whose remainder is not stated may be the one that was
// reached, so its reset counts if no other reset is known.
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

// splitQuoted yields the parts of s between separators, trimmed. Separators inside quotes do not
// count, because the quoted name of a policy may contain commas and semicolons.
func splitQuoted(s string, sep byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		quoted, start := false, 0
		for i := 0; i <= len(s); i++ {
			switch {
			// Inside quotes a backslash escapes the next byte, as in RFC 8941, section 3.3.3.
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
