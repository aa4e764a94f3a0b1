package llm

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
	"github.com/rebound-go/rebound/reboundhttp"
)

// Classify returns what the error of a call to a language model means. It adds the provider's own
// error codes to what fault.Of reads. They outrank the status that came with them. Classify finds
// them in the body of a [reboundhttp.StatusError], and in the errors of the SDKs of OpenAI,
// Anthropic, Google and AWS.
//
// A quota, a credit or a spending limit that is used up is Permanent. So is a request that is too
// large for the model, or for the limit itself. A limit that passes is RateLimited, with the delay
// that the body asks for if no header does. A body that cannot be read, or has no known code,
// leaves the meaning of the status.
//
// An error that an SDK made of a response that a [Transport] had given up on is Final if the
// request was repeated. Marks outrank all this.
func Classify(err error) fault.Fault {
	f := fault.Of(err)
	// The caller's end and the caller's own mark outrank whatever the provider sent.
	if f.Kind == fault.Canceled || mark.On(err) {
		return f
	}
	a, found := findAnswer(err)
	if !found {
		return f
	}
	var header http.Header
	if a.resp != nil {
		header = a.resp.Header
		// An SDK's error may have lost that a Transport gave up; the response has it still.
		base := reboundhttp.Classify(a.resp, nil)
		base.Final = base.Final || f.Final
		f = conflict(base, a.resp)
	}
	f = a.overrule(f, header)
	f.Err = err
	return f
}

// conflict is f, except that a 409 to a generation, which creates nothing that could be in
// conflict, is a lock that could not be had in time, as the APIs of OpenAI and Anthropic use it.
func conflict(f fault.Fault, resp *http.Response) fault.Fault {
	if resp.StatusCode == http.StatusConflict && f.Kind == fault.Permanent &&
		!forbidden(resp.Header) && resp.Request != nil && IsGeneration(resp.Request) {
		f.Kind = fault.Transient
	}
	return f
}

// IsAccount reports whether err is a fault of the account and not of the request: a key that is
// missing, wrong or not allowed to do this, money or a quota that is used up. Every other request
// of the account meets it, too. A limit that passes, a model that does not exist, and content that
// is rejected are none.
func IsAccount(err error) bool {
	f := Classify(err)
	// A limit passes, and so do an overload and a lock: no reason to stop a batch.
	if f.Kind != fault.Permanent {
		return false
	}
	a, _ := findAnswer(err)
	status := a.status
	if a.resp != nil {
		status = a.resp.StatusCode
	}
	denied := isDenied(status) || slices.Contains(deniedDetails, f.Detail)
	for _, code := range a.codes {
		g, status := fault.Code(code)
		switch {
		case g.Kind != fault.Permanent:
			denied = denied || isDenied(status)
		case isDenied(status) || status == http.StatusTooManyRequests:
			return true
		default: // too long, rejected, of an unknown model: a fault of the request
			return false
		}
	}
	return strings.HasSuffix(f.Detail, quotaSpent) || a.isSpent() || denied && !a.isModerated()
}

// quotaSpent is how fault.Of ends the detail of a limit that does not pass.
const quotaSpent = ", quota spent"

// isDenied reports whether a status is about who asks, or who pays.
func isDenied(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden,
		http.StatusProxyAuthRequired:
		return true
	}
	return false
}

// deniedDetails are what fault.Of returns for such an error without a body: of an SDK that is not
// known here, of gRPC, or of a response that other code has read.
var deniedDetails = []string{
	"status 401", "status 402", "status 403", "status 407",
	"grpc UNAUTHENTICATED", "grpc PERMISSION_DENIED",
}

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

// limited is what the body of a response about a limit means beside its code. A delay that f has is
// that of a header, which outranks the text and what a router passes on in the body.
func (r report) limited(best, f fault.Fault, h http.Header) fault.Fault {
	// The header itself does not count: a Transport may have added that SDKs must not retry.
	header := r.header
	switch {
	case f.After > 0:
		seconds := strconv.FormatFloat(f.After.Seconds(), 'f', -1, 64)
		header = http.Header{"Retry-After": {seconds}}
	case statesDelay(h): // an invalid one
		header = http.Header{"Retry-After": {"none"}}
	}
	g := fault.Of(&limitError{http.StatusTooManyRequests, header, r.text, r.details})
	if g.Kind == fault.RateLimited {
		g.Detail, g.Sent = best.Detail, best.Sent
		if best.Kind == fault.Unknown {
			g.Detail, g.Sent = f.Detail, f.Sent
		}
	}
	// The code is that of a limit that passes, but no minute has room for this request.
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

// guessStatus is the status that the body states, or that goes with its codes or its text; 500 if
// none does.
func (r report) guessStatus() int {
	if r.status != 0 {
		return r.status
	}
	for _, code := range r.codes {
		if _, status := fault.Code(code); status != 0 {
			return status
		}
	}
	switch text := strings.ToLower(r.text); {
	case r.isSpent(), strings.Contains(text, "rate limit"),
		strings.Contains(text, "too many requests"):
		return http.StatusTooManyRequests
	case strings.Contains(text, "overloaded"):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// isSpent reports whether the text and the details are about a quota that is used up.
func (r report) isSpent() bool {
	f := r.limited(fault.Fault{}, fault.Fault{}, nil)
	return strings.HasSuffix(f.Detail, quotaSpent)
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
