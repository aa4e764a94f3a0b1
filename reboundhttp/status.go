package reboundhttp

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// StatusError is a response with a bad status, 400 or above, as an error. A policy's Classify and
// Observe get it for such a response.
type StatusError struct {
	// Response is the response. Classifiers must not read its body. The body belongs to the caller,
	// who gets it whole if there is no further attempt. Otherwise it is closed.
	Response *http.Response

	// Body is the beginning of the response's body: up to 64 KiB that arrived within a second. It is
	// not compressed, even if the caller asked for gzip. It is set for policies with Classify, RetryIf
	// or Observe. For other policies it may be empty.
	Body []byte

	fault fault.Fault // of Response, if
	known bool
}

// good reports whether a status is not a failure. Redirects count as good: http.Client follows
// them.
func good(status int) bool { return status >= 100 && status < 400 }

// longestText is how many bytes of a response's body an error quotes.
const longestText = 200

// Error returns the status and the beginning of the body, unless the body is HTML.
func (e *StatusError) Error() string {
	if e.Response == nil {
		return "no response"
	}
	code := e.Response.StatusCode
	text := strings.ToLower(http.StatusText(code))
	if body := strings.TrimSpace(string(cut(e.Body))); body != "" && body[0] != '<' {
		text = strings.Join(strings.Fields(body), " ")
	}
	if text == "" {
		return "status " + strconv.Itoa(code)
	}
	return "status " + strconv.Itoa(code) + ": " + text
}

// cut returns at most the first longestText bytes of body, without splitting a character. Errors
// end up in logs, where a long text hides the rest of the line.
func cut(body []byte) []byte {
	if len(body) <= longestText {
		return body
	}
	n := longestText
	for n > longestText-utf8.UTFMax && !utf8.RuneStart(body[n]) {
		n--
	}
	return append(body[:n:n], "…"...)
}

// DescribeFault is [Classify] of the response.
func (e *StatusError) DescribeFault() fault.Fault {
	if e.known {
		return e.fault
	}
	return Classify(e.Response, nil)
}

// Check returns nil for a response with a status below 400, and a [*StatusError] for any other. It
// is for code that calls rebound.Do around a client without a [Transport].
//
// Check waits up to a second for the first 64 KiB of a bad response's body. The caller can still
// read the whole body, and must close it.
func Check(resp *http.Response) error {
	if good(resp.StatusCode) {
		return nil
	}
	e := &StatusError{Response: resp, fault: answered(resp), known: true}
	e.readBody()
	return e
}

// readBody reads the beginning of the response's body.
func (e *StatusError) readBody() {
	e.Body = unzipped(e.Response.Header, new(ahead).readFrom(e.Response))
}

// unzipped returns body without gzip, if the header names gzip. net/http removes gzip only if it
// asked for gzip itself.
func unzipped(h http.Header, body []byte) []byte {
	if !strings.EqualFold(strings.TrimPrefix(h.Get("Content-Encoding"), "x-"), "gzip") {
		return body
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	// The end may be missing, and then the beginning is still useful.
	text, _ := io.ReadAll(io.LimitReader(r, aheadBytes))
	return text
}

// Classify returns what the outcome of a request means: fault.Of the error, or, without an error,
// fault.Response of the response's status and header.
//
// If resp is the last response of a [Transport], Classify returns the fault that the Transport's
// policy has found. That fault is Final if the request was retried.
func Classify(resp *http.Response, err error) fault.Fault {
	if err != nil || resp == nil {
		return fault.Of(err)
	}
	return answered(resp)
}

// answered is the meaning of a response that has just arrived.
func answered(resp *http.Response) fault.Fault {
	// A response on which a Transport gave up was classified by its policy, which has read the body
	// too.
	if r := recordOf(resp); r != nil && r.resp == resp {
		if e, ok := r.call.Err.(*rebound.Error); ok {
			return e.DescribeFault()
		}
	}
	if len(resp.Header) == 0 {
		return fault.Status(resp.StatusCode) // without a look at the clock
	}
	return fault.Response(resp.StatusCode, resp.Header, time.Now())
}

// RetryAfter is fault.ParseRetryAfter for an http.Header. It returns the delay that a response asks
// for, from Retry-After and its variants, or else from the rate limit that was reached.
func RetryAfter(h http.Header, now time.Time) (delay time.Duration, ok bool) {
	return fault.ParseRetryAfter(h, now)
}

// final returns h with the header that keeps SDKs from retrying the request. It is a copy, because
// a Base may share headers between responses.
func final(h http.Header) http.Header {
	h = withHeader(h, "X-Should-Retry", "false")
	// Stripe's SDKs obey a header of their own, which the server may have set to true.
	if h.Get("Stripe-Should-Retry") != "" {
		h.Set("Stripe-Should-Retry", "false")
	}
	return h
}
