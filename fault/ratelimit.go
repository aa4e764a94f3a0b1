package fault

import (
	"strconv"
	"strings"
	"time"
)

// limits is what a response's headers state about rate limits. A response may have several, of
// requests and tokens, of a minute and a day; only their remainders show which was reached.
type limits struct {
	spent   bool          // one of them has nothing remaining
	reached time.Duration // the longest time until a reset of those
	unsure  time.Duration // the same of those whose remainder is not stated
}

// reset is the time until the limit that was reached is reset; 0 if it is not known. A limit whose
// remainder is not stated may be the one that was reached, so it counts if no other is known.
func (l limits) reset() time.Duration {
	if l.reached > 0 {
		return l.reached
	}
	return l.unsure
}

// limitsOf reads the limits of a response received at now.
func limitsOf(h map[string][]string, now time.Time) (l limits) {
	// Resets are in the server's time, and its clock may differ.
	now = serverTime(h, now)
	for name, values := range h {
		if !isLimit(name) || len(values) == 0 {
			continue
		}
		switch {
		case strings.Contains(name, "Reset"):
			l.add(values[0], remaining(h, name), now)
		case strings.Contains(name, "Remaining"):
			l.spent = l.spent || isZero(values[0])
		}
	}
	for _, v := range h["Ratelimit"] {
		l.draft(v, now)
	}
	return l
}

// isLimit matches the names in use: GitHub's and OpenAI's, the IETF's, X's, and Anthropic's.
func isLimit(name string) bool {
	return strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Ratelimit-") ||
		strings.HasPrefix(name, "X-Rate-Limit-") || strings.Contains(name, "-Ratelimit-")
}

// remaining returns what remains of the limit whose reset has the name given.
func remaining(h map[string][]string, reset string) string {
	name := strings.Replace(reset, "Reset", "Remaining", 1)
	if left := first(h, name); left != "" {
		return left
	}
	// Discord's X-RateLimit-Reset-After goes with X-RateLimit-Remaining.
	return first(h, strings.TrimSuffix(name, "-After"))
}

// isZero accepts 0.0, as some APIs count in fractions.
func isZero(s string) bool {
	left, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return err == nil && left == 0
}

// add adds one limit. With something remaining it was not the one that was reached, and its reset
// does not matter.
func (l *limits) add(reset, remaining string, now time.Time) {
	d, _ := parseReset(reset, now)
	left, err := strconv.ParseFloat(strings.TrimSpace(remaining), 64)
	switch {
	case err != nil || left < 0:
		l.unsure = max(l.unsure, d)
	case left == 0:
		l.spent = true
		l.reached = max(l.reached, d)
	}
}

// draft adds the limits of a RateLimit header: "name";r=0;t=30, … since the eighth draft, and
// limit=100, remaining=0, reset=30 until the seventh.
func (l *limits) draft(v string, now time.Time) {
	// Up to the seventh draft the members of the list are the parameters of one limit.
	var left, reset string
	for member := range splitQuoted(v, ',') {
		var r, t string
		for param := range splitQuoted(member, ';') {
			switch key, value, _ := strings.Cut(param, "="); key {
			case "r":
				r = value
			case "t":
				t = value
			case "remaining":
				left = value
			case "reset":
				reset = value
			}
		}
		l.add(t, r, now)
	}
	l.add(reset, left, now)
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
