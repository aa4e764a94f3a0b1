package fault

import (
	"strconv"
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
	return Fault{Kind: kind, Sent: sent, Detail: "status " + strconv.Itoa(code)}
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
	case 0, 999: // no answer at all, in the words of some proxies
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
// or Stripe-Should-Retry, with the wait of [ParseRetryAfter]. A Retry-After makes a 413 Transient, as
// RFC 9110 has it, and a 403 RateLimited, as GitHub's secondary limits have it. The header is an
// http.Header; now is what a date in it is compared to.
func Response(code int, header map[string][]string, now time.Time) Fault {
	return response(code, valuesOf(header), now)
}

func response(code int, header values, now time.Time) Fault {
	f := Status(code)
	if f.Kind == None {
		return f
	}
	if after, ok := retryAfter(header, now); ok {
		f.After = after
		switch code {
		case 403:
			f.Kind = RateLimited
		case 413:
			f.Kind = Transient
		}
	}
	if k := told(f.Kind, shouldRetry(header)); k != f.Kind {
		f.Kind = k
		f.Detail += ", x-should-retry"
	}
	return f
}

// shouldRetry reads the headers by which some APIs, OpenAI's, Anthropic's and Stripe's among them,
// say themselves what their clients should do.
func shouldRetry(header values) flags {
	for _, name := range [...]string{"X-Should-Retry", "Stripe-Should-Retry"} {
		switch header(name) {
		case "true":
			return retry
		case "false":
			return noRetry
		}
	}
	return 0
}
