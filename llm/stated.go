package llm

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rebound-go/rebound/fault"
)

const (
	// A minute in headers is a minute, give or take what they round.
	longestMinute = 61 * time.Second

	rounding = 2 * time.Second // of a reset, and of the time at the server
)

// learn reads the limits in a response's headers, of which all hold at once. Limits of prompts and
// of answers are another matter, as a meter counts both together: where that has a limit too, the
// others are of no use. Where it has none, the largest of them is taken, and one that is spent ends
// what may be taken at once.
func (m *meter) learn(header http.Header, now time.Time) {
	limits := fault.RateLimits(header, now)
	whole := slices.ContainsFunc(limits, isWhole)
	var requests, tokens float64 // a minute; 0 = not stated
	for _, l := range limits {
		switch {
		case l.Limit <= 0 || !isMinute(l):
		case !isTokens(l):
			requests = least(requests, l.Limit)
		case isWhole(l):
			tokens = least(tokens, l.Limit)
		case !whole:
			tokens = max(tokens, l.Limit)
		}
	}
	m.set(false, requests)
	m.set(true, tokens)
	for _, l := range limits {
		if !isTokens(l) || isWhole(l) || !whole && l.Remaining < 1 {
			m.report(l)
		}
	}
}

// least is the lesser of two limits, of which the first may be unknown.
func least(a, b float64) float64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// report lowers the level to what one limit states. A limit of a day, which some providers send
// under the same names, cannot pace a minute. It is only taken in once it is spent and its reset is
// near.
//
// Limits by name fill up all the time, and their reset is when they are full. Others are of a
// window, after whose reset all is there.
func (m *meter) report(l fault.RateLimit) {
	rate := &m.requests
	if isTokens(l) {
		rate = &m.tokens
	}
	minute := isMinute(l)
	switch {
	case l.Remaining < 0:
	case minute && isNamed(l):
		rate.Load().Learn(l.Remaining, 0)
	case l.Reset > longestPause:
	case minute || l.Remaining < 1 || rate.Load().N == 0 && l.Reset > 0:
		rate.Load().Learn(l.Remaining, l.Reset)
	}
}

func isTokens(l fault.RateLimit) bool { return strings.Contains(l.Name, "token") }

// isWhole reports whether a limit is that of the tokens of prompts and answers together: of
// Anthropic's three and Fireworks' three.
func isWhole(l fault.RateLimit) bool {
	return strings.HasPrefix(l.Name, "token") &&
		!strings.Contains(l.Name, "prompt") && !strings.Contains(l.Name, "generated")
}

// isNamed reports whether a limit is one of requests or tokens by name: those of OpenAI, Anthropic
// and others like them.
func isNamed(l fault.RateLimit) bool {
	return l.Window == 0 && (isTokens(l) || strings.Contains(l.Name, "req"))
}

// isMinute reports whether a limit is that of a minute. The limit of tokens alone is, at all that
// have it, whatever its reset. One of requests is a day's at Groq, and at OpenAI for some models:
// as its reset is when it is full, that and what has been used of it show its window.
func isMinute(l fault.RateLimit) bool {
	if !isNamed(l) {
		return l.Window == time.Minute
	}
	switch period := l.Name[strings.LastIndexByte(l.Name, '-')+1:]; period {
	case "minute", "min", "tokens":
		return true
	case "second", "hour", "day", "week", "month", "year":
		return false
	}
	used := l.Limit - l.Remaining
	return l.Reset <= longestMinute && (l.Remaining < 0 || used < 1 ||
		float64(l.Reset-rounding)*l.Limit <= used*float64(2*time.Minute))
}
