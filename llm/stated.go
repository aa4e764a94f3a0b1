package llm

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rebound-go/rebound/fault"
)

const (
	// The window of a limit per minute, with the rounding that headers have.
	longestMinute = 61 * time.Second

	rounding = 2 * time.Second // of a reset, and of the time at the server
)

// learn reads the limits in a response's headers. All of them apply at the same time. A meter
// counts prompts and answers together. So separate limits of prompts and answers are used only if
// there is no limit for both. Then the largest becomes the limit, and one with nothing remaining
// sets the level to 0.
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

// least is the smaller of two limits, where 0 for the first means unknown.
func least(a, b float64) float64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// report lowers the level to what one limit states. Some providers send a limit per day under the
// same names, which cannot pace a minute. It counts only when it is used up and its reset is near.
//
// Limits by name refill continuously, and their reset is the time at which they are full. Other
// limits have a window, at whose reset everything is available again.
func (m *meter) report(l fault.RateLimit) {
	rate := &m.requests
	// A name without "token" is one of requests, which some providers do not name at all.
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

// isWhole reports whether a limit counts the tokens of prompts and answers together. Anthropic and
// Fireworks send three limits of tokens, and only one of these counts both.
func isWhole(l fault.RateLimit) bool {
	return strings.HasPrefix(l.Name, "token") &&
		!strings.Contains(l.Name, "prompt") && !strings.Contains(l.Name, "generated")
}

// isNamed reports whether a limit is one of requests or tokens by its name, as those of OpenAI,
// Anthropic and others like them are.
func isNamed(l fault.RateLimit) bool {
	return l.Window == 0 && (isTokens(l) || strings.Contains(l.Name, "req"))
}

// isMinute reports whether a limit applies to a minute. At every provider, a limit named just
// "tokens" does, with any reset. A limit of requests is per day at Groq, and at OpenAI for some
// models. Its reset is the time until it is full again, so the reset and the used part show its
// window.
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
