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

// StatusError is a response with a bad status, 400 and up, as an error: what a policy's Classify
// and Observe see of it.
type StatusError struct {
	// Response is the response. Classifiers leave its body alone: it is the caller's, who gets it
	// whole if there is no further attempt, and closed otherwise.
	Response *http.Response

	// Body is the beginning of its body: up to 64 KiB of what came within a second, after gzip if
	// the request asked for gzip itself. It is there for policies with Classify, RetryIf or
	// Observe; for others it may be empty.
	Body []byte

	fault fault.Fault // of Response, if
	known bool
}

func good(status int) bool { return status >= 100 && status < 400 }

// longestText is how many bytes of a response's body an error quotes.
const longestText = 200

// Error gives the status and the beginning of the body, unless that is a page of HTML.
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

// cut returns at most the first longestText bytes of body, and no half of a character. Errors end
// up in logs, where a page of text hides the line.
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

// Check returns nil for a response with a status below 400, and a [*StatusError] for any other.
// It is for code that calls rebound.Do around a client without a [Transport].
//
// Check waits up to a second for the first 64 KiB of a bad response's body. The caller can still
// read the whole body, and closes it.
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

// unzipped returns what body is the gzip of, if the header says so. net/http removes gzip only if
// it asked for gzip itself.
func unzipped(h http.Header, body []byte) []byte {
	if !strings.EqualFold(strings.TrimPrefix(h.Get("Content-Encoding"), "x-"), "gzip") {
		return body
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	// The end may be missing. What comes before is good to read.
	text, _ := io.ReadAll(io.LimitReader(r, aheadBytes))
	return text
}

// Classify returns what the outcome of a request means: fault.Of of err if there is an error, or
// else fault.Response of the response's status and header.
//
// If resp is the last response of a [Transport], Classify returns the fault that the Transport's
// policy found. The fault is Final if the request was repeated.
func Classify(resp *http.Response, err error) fault.Fault {
	if err != nil || resp == nil {
		return fault.Of(err)
	}
	return answered(resp)
}

// answered is the meaning of a response that has just been received.
func answered(resp *http.Response) fault.Fault {
	// A response that a Transport gave up on was classified by its policy, which read the body, too.
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

// RetryAfter is fault.ParseRetryAfter of an http.Header: the delay that a response asks for, from
// Retry-After and its variants, else from the rate limit that was reached.
func RetryAfter(h http.Header, now time.Time) (delay time.Duration, ok bool) {
	return fault.ParseRetryAfter(h, now)
}

// final is h with the word for SDKs above not to repeat the request. It is a copy, because a Base
// may share headers between responses.
func final(h http.Header) http.Header {
	h = withHeader(h, "X-Should-Retry", "false")
	// Stripe's SDKs obey a header of their own, which the server may have set to true.
	if h.Get("Stripe-Should-Retry") != "" {
		h.Set("Stripe-Should-Retry", "false")
	}
	return h
}
