package fault

import (
	"strconv"
	"sync/atomic"
	"time"
)

// Status is the meaning of an HTTP status code by itself, as RFC 9110 and the servers in use have
// it. A bare 503 leaves open whether the call was carried out: a proxy may answer so after the
// origin acted. Codes from 100 to 399 are no failure: their Kind is [None]. [Response] takes the
// headers into account as well.
func Status(code int) Fault {
	if code >= 100 && code < 400 {
		return Fault{Kind: None}
	}
	kind, sent := status(code)
	return Fault{Kind: kind, Sent: sent, Detail: statusDetail(code)}
}

// details are the texts of the statuses from 400 on that were seen, lest each failure builds one.
var details [200]atomic.Pointer[string]

func statusDetail(code int) string {
	i := code - 400
	if i < 0 || i >= len(details) {
		return "status " + strconv.Itoa(code)
	}
	text := details[i].Load()
	// Two goroutines may both make the text; either is right.
	if text == nil {
		made := "status " + strconv.Itoa(code)
		text = &made
		details[i].Store(text)
	}
	return *text
}

// status is the table behind Status: RFC 9110, section 15, and for other codes the documentation of
// the servers that send them. A 4xx is an answer of a server that did not act; a 5xx may come from
// a proxy in between.
func status(code int) (Kind, Sent) {
	switch code {
	case 408, 421, 425: // the server did not take the request; another connection may
		return Transient, NotDone
	case 429:
		return RateLimited, NotDone
	case 503:
		return Overloaded, MaybeDone
	case 529: // Anthropic, Bedrock
		return Overloaded, NotDone
	// These are 5xx, but they do not pass.
	case 501, 505, 506, 508, 510, 511: // not implemented, misconfigured, or a login page
		return Permanent, NotDone
	case 0, 999, // no answer at all, as some proxies put it
		499: // Google: canceled on the way; nginx has it for its logs alone
		return Transient, MaybeDone
	}
	switch {
	// The request is at fault, and stays as it is.
	case code >= 400 && code < 500:
		return Permanent, NotDone
	// Most of these pass: a restart, a broken backend, a deadline of a proxy's.
	case code >= 500 && code < 600:
		return Transient, MaybeDone
	}
	return Unknown, MaybeDone
}

// Response is the meaning of an HTTP response: its status, overruled by the header X-Should-Retry
// or Stripe-Should-Retry, with the delay of [ParseRetryAfter]. Rate limits only count for a status
// that is RateLimited, since many APIs send them with every response. A Retry-After makes a 413
// Transient, as in RFC 9110. A 403 is RateLimited with a Retry-After or with a limit of which
// nothing remains, as GitHub sends it. The header is an http.Header; a date in it is compared to
// now.
func Response(code int, header map[string][]string, now time.Time) Fault {
	f := Status(code)
	if f.Kind == None || len(header) == 0 {
		return f
	}
	switch code {
	// RFC 9110 lets a server say so of a condition that passes.
	case 413:
		if _, ok, _ := requested(header, now); ok {
			f.Kind = Transient
		}
	// GitHub answers 403, too, when a limit is reached.
	case 403: // GitHub's primary and secondary limits
		if _, ok, _ := requested(header, now); ok || spent(header, now) {
			f.Kind = RateLimited
		}
	}
	f.After = delayFor(f.Kind, header, now)
	if k := applyRetryHint(f.Kind, shouldRetry(header)); k != f.Kind {
		f.Kind = k
		f.Detail += ", x-should-retry"
	}
	return f
}

// shouldRetry reads the headers in which some APIs, OpenAI's, Anthropic's and Stripe's among them,
// state what their clients should do. Any other value is none, as a proxy may have put anything
// there.
func shouldRetry(header map[string][]string) flags {
	for _, name := range [...]string{"X-Should-Retry", "Stripe-Should-Retry"} {
		switch first(header, name) {
		case "true":
			return retry
		case "false":
			return noRetry
		}
	}
	return 0
}
