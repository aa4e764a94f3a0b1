package fault

import (
	"strconv"
	"sync/atomic"
	"time"
)

// Status is the meaning of an HTTP status code by itself, from RFC 9110 and from the practice of
// servers. A 503 does not prove that the server did not act, because a proxy may send it after the
// server acted. Codes from 100 to 399 are not failures: their Kind is [None]. [Response] also uses
// the headers.
func Status(code int) Fault {
	if code >= 100 && code < 400 {
		return Fault{Kind: None}
	}
	kind, sent := status(code)
	return Fault{Kind: kind, Sent: sent, Detail: statusDetail(code)}
}

// details are the texts of the statuses from 400 on that have occurred, so that a failure need not
// build its text.
var details [200]atomic.Pointer[string]

func statusDetail(code int) string {
	// Codes outside the range are too rare to be kept.
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
// the servers that send them. A 4xx is the answer of a server that did not act. A 5xx may come from
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
		499: // Google: the request was canceled; nginx uses it only in its logs
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

// Response is the meaning of an HTTP response: its status, and the delay of [ParseRetryAfter]. The
// headers X-Should-Retry and Stripe-Should-Retry override the kind. Rate limit headers count only
// for a status that is RateLimited, because many APIs send them with every response.
//
// A Retry-After makes a 413 Transient, as RFC 9110 describes. It makes a 403 RateLimited, and so
// does a limit with nothing remaining, because GitHub sends both. The header is an http.Header.
// Dates in it are compared with now.
func Response(code int, header map[string][]string, now time.Time) Fault {
	f := Status(code)
	if f.Kind == None || len(header) == 0 {
		return f
	}
	switch code {
	// RFC 9110 lets a server send Retry-After with a 413 that is temporary.
	case 413:
		if _, ok, _ := requested(header, now); ok {
			f.Kind = Transient
		}
	// GitHub answers 403, too, when its primary or secondary limit is reached.
	case 403:
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

// shouldRetry reads the headers in which some APIs, such as those of OpenAI, Anthropic and Stripe,
// state whether to retry. Values other than true and false are ignored: a proxy may have set them.
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
