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
// error codes to what [fault.Of] reads. The codes outrank the status that came with them. Classify
// finds them in the body of a [reboundhttp.StatusError], and in the errors of the SDKs of OpenAI,
// Anthropic, Google and AWS.
//
// A quota, a credit or a spending limit that is used up is Permanent. So is a request that is too
// large for the model, or larger than the whole limit. A limit that passes is RateLimited. Its
// delay is that of the header, or else that of the body. If the body cannot be read or has no known
// code, the status decides.
//
// An SDK's error is Final if it was made from a response that a [Transport] has returned after
// retries. Marks such as rebound.Permanent outrank everything else.
func Classify(err error) fault.Fault {
	f := fault.Of(err)
	// The end of the caller's context and the caller's own mark outrank the provider's answer.
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
		// The SDK's error may not show that a Transport has retried the request. The response still does.
		base := reboundhttp.Classify(a.resp, nil)
		base.Final = base.Final || f.Final
		f = conflict(base, a.resp)
	}
	f = a.overrule(f, header)
	f.Err = err
	return f
}

// conflict makes f Transient for a 409 to a generation. A generation creates nothing that could
// conflict. The APIs of OpenAI and Anthropic use 409 for a lock that was not free in time.
func conflict(f fault.Fault, resp *http.Response) fault.Fault {
	if resp.StatusCode == http.StatusConflict && f.Kind == fault.Permanent &&
		!forbidden(resp.Header) && resp.Request != nil && IsGeneration(resp.Request) {
		f.Kind = fault.Transient
	}
	return f
}

// IsAccount reports whether err is a fault of the account and not of the request. The key is
// missing or wrong or lacks permission, or money or a quota is used up. Every other request of the
// account would fail as well, so a batch should stop. IsAccount is false for a limit that passes,
// for a model that does not exist, and for content that is rejected.
func IsAccount(err error) bool {
	f := Classify(err)
	// A limit, an overload and a lock pass, so they are no reason to stop a batch.
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
		// A code that names a fault of the request outranks the status: too long, rejected content, an
		// unknown model.
		default:
			return false
		}
	}
	return strings.HasSuffix(f.Detail, quotaSpent) || a.isSpent() || denied && !a.isModerated()
}

// quotaSpent is the suffix that [fault.Of] gives to the detail of a limit that does not pass.
const quotaSpent = ", quota spent"

// isDenied reports whether a status is about credentials or payment.
func isDenied(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden,
		http.StatusProxyAuthRequired:
		return true
	}
	return false
}

// deniedDetails are the details that [fault.Of] gives to such an error without a body. The error
// may be from an SDK that is not recognised here, from gRPC, or from a response whose body was read
// elsewhere.
var deniedDetails = []string{
	"status 401", "status 402", "status 403", "status 407",
	"grpc UNAUTHENTICATED", "grpc PERMISSION_DENIED",
}

// overrule corrects f, the meaning of a response's status and headers, by the response's body.
func (r report) overrule(f fault.Fault, h http.Header) fault.Fault {
	if f.Kind == fault.None || f.Kind == fault.Unknown { // the 200 of a stream, or nothing
		f = withKindOf(f, fault.Status(r.guessStatus()))
	}
	g := r.fault(f, h)
	// A header that forbids a retry outranks a code that would allow one. It does not outrank a
	// permanent code, which is more exact.
	refused := f.Kind == fault.Permanent && !f.Final && forbidden(h)
	if g.Kind == fault.Unknown || refused && g.Kind != fault.Permanent {
		g = f
	}
	f.After = cmp.Or(f.After, g.After)
	return withKindOf(f, g)
}

// forbidden reports whether a header of the response forbids a retry. It tries the header with a
// 500, which nothing else makes Permanent.
func forbidden(h http.Header) bool {
	return fault.Response(http.StatusInternalServerError, h, time.Now()).Kind == fault.Permanent
}

// withKindOf returns f with the kind and detail of g. Sent is g's as well, unless f proves that
// nothing was sent.
func withKindOf(f, g fault.Fault) fault.Fault {
	f.Kind, f.Detail = g.Kind, g.Detail
	if f.Sent != fault.NotSent {
		f.Sent = g.Sent
	}
	return f
}

// fault returns the meaning of the body. f is the meaning of the status. The result is Unknown if
// the body adds nothing. A permanent code decides over other codes, because a retry would get it
// again.
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

// limitError is an error about a limit, with the fields of a report in the shape that [fault.Of]
// reads. It saves a second implementation of the rules for limits.
type limitError struct {
	StatusCode int
	Header     http.Header
	Message    string
	Details    []any
}

func (*limitError) Error() string { return "" }

// limited returns the meaning of a response about a limit. best is the meaning of its code. A delay
// in f is from a header. A header outranks the text, and a header that a router passes on in the
// body.
func (r report) limited(best, f fault.Fault, h http.Header) fault.Fault {
	// The response's own header is not used, because a Transport may have added X-Should-Retry for
	// SDKs.
	header := r.header
	switch {
	case f.After > 0:
		seconds := strconv.FormatFloat(f.After.Seconds(), 'f', -1, 64)
		header = http.Header{"Retry-After": {seconds}}
	// The header has an invalid delay. A delay in the text must not be used instead.
	case statesDelay(h):
		header = http.Header{"Retry-After": {"none"}}
	}
	g := fault.Of(&limitError{http.StatusTooManyRequests, header, r.text, r.details})
	if g.Kind == fault.RateLimited {
		g.Detail, g.Sent = best.Detail, best.Sent
		if best.Kind == fault.Unknown {
			g.Detail, g.Sent = f.Detail, f.Sent
		}
	}
	// The code is that of a limit that passes, but this request is larger than the whole limit.
	if asked, limit, ok := amounts(r.text); ok && asked > limit {
		g.Kind, g.Detail = fault.Permanent, "request above the limit"
	}
	return g
}

// moderation matches how OpenRouter, xAI and others phrase the rejection of content. Some send it
// with a 403, the status of a key without permission.
var moderation = regexp.MustCompile(`(?i)moderation|flagged|violat|usage guidelines|` +
	`content policy|content[ _]filter|safety`)

// isModerated reports whether the content of the request was rejected.
func (r report) isModerated() bool { return moderation.MatchString(r.text) }

// statesDelay reports whether a header asks for a delay, valid or not.
func statesDelay(h http.Header) bool {
	for name := range h {
		if strings.Contains(name, "Retry-After") {
			return true
		}
	}
	return false
}

// guessStatus returns the status that the body states, or else the status of its codes or its text,
// or else 500. Errors inside a stream have no status.
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

// isSpent reports whether the text or the details are about a quota that is used up.
func (r report) isSpent() bool {
	f := r.limited(fault.Fault{}, fault.Fault{}, nil)
	return strings.HasSuffix(f.Detail, quotaSpent)
}

// amountsText is how OpenAI, Azure and Groq phrase the amounts of a token limit.
var amountsText = regexp.MustCompile(`Limit:? (\d{1,15})\b.*\bRequested:? (\d{1,15})\b`)

// amounts returns the tokens that a request asked for and the tokens of the whole limit. If a
// request asks for more than the limit, no delay helps.
func amounts(text string) (asked, limit int, ok bool) {
	m := amountsText.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, false
	}
	limit, err := strconv.Atoi(m[1])
	asked, err2 := strconv.Atoi(m[2])
	return asked, limit, err == nil && err2 == nil
}
