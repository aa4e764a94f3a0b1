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
	if text == nil {
		made := "status " + strconv.Itoa(code)
		text = &made
		details[i].Store(text)
	}
	return *text
}

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
	case 501, 505, 506, 508, 510, 511: // not implemented, misconfigured, or a login page
		return Permanent, NotDone
	case 0, 999, // no answer at all, as some proxies put it
		499: // Google: canceled on the way; nginx has it for its logs alone
		return Transient, MaybeDone
	}
	switch {
	case code >= 400 && code < 500:
		return Permanent, NotDone
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
	case 413:
		if _, ok, _ := requested(header, now); ok {
			f.Kind = Transient
		}
	case 403:
		if _, ok, _ := requested(header, now); ok || limitsOf(header, now).spent {
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
// state what their clients should do.
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
