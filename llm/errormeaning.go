package llm

import (
	"cmp"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// overrule returns f, which is what a response's status and headers mean, corrected by its body.
func (r report) overrule(f fault.Fault, h http.Header) fault.Fault {
	if f.Kind == fault.None || f.Kind == fault.Unknown { // the 200 of a stream, or nothing
		f = withKindOf(f, fault.Status(r.guessStatus()))
	}
	g := r.fault(f, h)
	// A header that forbids a retry outranks a code that would allow one, but not a code that is
	// permanent, too, and more exact.
	refused := f.Kind == fault.Permanent && !f.Final && forbidden(h)
	if g.Kind == fault.Unknown || refused && g.Kind != fault.Permanent {
		g = f
	}
	f.After = cmp.Or(f.After, g.After)
	return withKindOf(f, g)
}

// forbidden reports whether a header of a response forbids to repeat the request. Nothing else
// makes a 500 Permanent.
func forbidden(h http.Header) bool {
	return fault.Response(http.StatusInternalServerError, h, time.Now()).Kind == fault.Permanent
}

// withKindOf is f with the kind of g, and why.
func withKindOf(f, g fault.Fault) fault.Fault {
	f.Kind, f.Detail = g.Kind, g.Detail
	if f.Sent != fault.NotSent {
		f.Sent = g.Sent
	}
	return f
}

// fault is what the body means, given what the status does: Unknown if it adds nothing. A permanent
// code decides even beside others: what will not pass makes the rest irrelevant.
func (r report) fault(f fault.Fault, h http.Header) fault.Fault {
	best := fault.Fault{Kind: fault.Unknown}
	for _, code := range r.codes {
		g, _ := fault.Code(code)
		if g.Kind == fault.Permanent {
			return g
		}
		if best.Kind == fault.Unknown {
			best = g
		}
	}
	if best.Kind == fault.RateLimited || best.Kind == fault.Unknown && f.Kind == fault.RateLimited {
		return r.limited(best, f, h)
	}
	return best
}

// limitError is an error about a limit that has what a report has, for fault.Of to read.
type limitError struct {
	StatusCode int
	Header     http.Header
	Message    string
	Details    []any
}

func (*limitError) Error() string { return "" }

// limited is what the body of a response about a limit means beside its code. A header outranks
// those that a provider passes on in its body.
func (r report) limited(best, f fault.Fault, h http.Header) fault.Fault {
	if len(h) == 0 || f.After == 0 && !statesDelay(h) {
		h = r.header
	}
	g := fault.Of(&limitError{http.StatusTooManyRequests, h, r.text, r.details})
	if g.Kind == fault.RateLimited {
		g.Detail, g.Sent = best.Detail, best.Sent
		if best.Kind == fault.Unknown {
			g.Detail, g.Sent = f.Detail, f.Sent
		}
	}
	if asked, limit, ok := amounts(r.text); ok && asked > limit {
		g.Kind, g.Detail = fault.Permanent, "request above the limit"
	}
	return g
}

// moderation is how OpenRouter, xAI and others word that they reject the content of a request, for
// which some have the status of a key that is not allowed to do this.
var moderation = regexp.MustCompile(`(?i)moderation|flagged|violat|usage guidelines|` +
	`content policy|content[ _]filter|safety`)

// isModerated reports whether the content of the request was rejected.
func (r report) isModerated() bool { return moderation.MatchString(r.text) }

// statesDelay reports whether a header asks for a delay, be it a valid one or not.
func statesDelay(h http.Header) bool {
	for name := range h {
		if strings.Contains(name, "Retry-After") {
			return true
		}
	}
	return false
}

// guessStatus is the status that the body states, or that goes with its codes; 500 if none does.
func (r report) guessStatus() int {
	if r.status != 0 {
		return r.status
	}
	for _, code := range r.codes {
		if _, status := fault.Code(code); status != 0 {
			return status
		}
	}
	return http.StatusInternalServerError
}

// amountsText is how OpenAI, Azure and Groq word the amounts of a limit by tokens.
var amountsText = regexp.MustCompile(`Limit:? (\d{1,15})\b.*\bRequested:? (\d{1,15})\b`)

// amounts are the tokens that a request asks for and those that the limit has in all: a request
// that asks for more than that fails however long one waits.
func amounts(text string) (asked, limit int, ok bool) {
	m := amountsText.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, false
	}
	limit, err := strconv.Atoi(m[1])
	asked, err2 := strconv.Atoi(m[2])
	return asked, limit, err == nil && err2 == nil
}
