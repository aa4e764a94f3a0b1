package llm

import (
	"cmp"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/internal/httppolicy"
	"github.com/rebound-go/rebound/reboundhttp"
)

// Transport is an http.RoundTripper for the APIs of language models: a [reboundhttp.Transport] that
// reads their errors, repeats generations and watches over streams. The zero Transport is ready. It
// may be used by any number of goroutines; once in use its fields must not be changed.
//
// An answer in JSON to a generation is read as a whole first. It is repeated if it breaks off, is
// blank, or is an error in spite of its status. JSON in pieces, such as Google's
// streamGenerateContent without alt=sse, is passed on after the first piece. The body's first byte
// decides between JSON and events where the Content-Type is that of the other.
//
// A stream of events that answers a generation is given to the caller once its first output is
// there, and repeated if it fails before. An error that the provider sends by then becomes a
// response with the status that belongs to it. After that nothing is repeated. An error of the
// provider's reaches the caller as it is. A stream that breaks, pauses for too long, or ends
// without its end mark ends in a [*StreamError] that the body's Read returns.
//
// SDKs with a retry loop of their own add attempts and do not multiply them: a response that is
// not worth repeating has the header X-Should-Retry: false, which the SDKs of OpenAI and Anthropic
// obey, and a request that such an SDK repeats all the same, as it does after every error that is
// no response, gets a single attempt.
type Transport struct {
	// Base makes the attempts. Nil = http.DefaultTransport.
	Base http.RoundTripper

	// Policy is the policy of each request. Its AttemptTimeout would cover the whole of a stream. A
	// policy without Classify gets [Classify], and so does one from [reboundhttp.WithPolicy].
	// Nil = what [NewPolicy] returns.
	Policy *rebound.Policy

	// Idempotent reports whether a request does no harm when repeated, beside those that never do.
	// Nil = IsGeneration.
	Idempotent func(*http.Request) bool

	// Breakers holds a breaker for each host. Nil = none.
	Breakers *breaker.Group[string]

	// Quota keeps requests within the provider's limits. Attempts wait in it, which no timeout
	// of an attempt covers. Nil = none.
	Quota *Quota

	// FirstOutputTimeout is the time from an attempt's beginning to the first output of a stream,
	// to the end of an answer in JSON to a generation, or to the header of any other response.
	// 0 = none.
	FirstOutputTimeout time.Duration

	// HeaderTimeout is the time from an attempt's beginning to the header of its response, which
	// many providers send when the answer is complete. 0 = 10 minutes.
	HeaderTimeout time.Duration

	// IdleTimeout is how long a response's body may pause. The pings and comments that many servers
	// send while a model thinks end a pause. 0 = 5 minutes.
	IdleTimeout time.Duration

	// Output reports whether an event cannot be taken back. The first such event ends the time in
	// which the stream may be repeated. Up to 4 MiB are held back before. Nil = IsOutput. With one
	// that is always false a stream arrives in one piece, whole or not at all.
	Output func(Event) bool

	// Ended reports whether an event marks the end of a stream. Nil = IsEnd.
	Ended func(Event) bool

	once  sync.Once
	inner *reboundhttp.Transport
	err   error // what is wrong with the fields
}

// NewClient returns a client with a [Transport] whose Policy is p (nil = what [NewPolicy] returns).
// The client has no Timeout, but the Transport bounds each attempt: 10 minutes to the header, and 5
// for a pause of the body.
//
// A long delay prints nothing. To log each one, set the policy's Observe to that of a
// [github.com/rebound-go/rebound/reboundslog.Logger].
func NewClient(p *rebound.Policy) *http.Client {
	return &http.Client{Transport: &Transport{Policy: p}}
}

// RoundTrip sends req, again and again if need be, and returns the last response, whatever its
// status, or a [*rebound.Error].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.once.Do(t.build)
	if t.err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, &rebound.Error{Reason: rebound.Invalid, Cause: t.err}
	}
	// OpenAI's and Anthropic's SDKs count their own retries in this header.
	if n := req.Header.Get("X-Stainless-Retry-Count"); n != "" && n != "0" {
		req = singleAttempt(req, t.inner.Policy)
	}
	if t.Quota != nil && t.Quota.applies(req) {
		req = t.Quota.guard(req, t.inner.Policy)
	}
	resp, err := t.inner.RoundTrip(req)
	if err == nil && gaveUp(resp) {
		// A copy, as a Base may share headers between responses.
		h := resp.Header.Clone()
		h.Set("X-Should-Retry", "false")
		resp.Header = h
	}
	return resp, err
}

// singleAttempt is req with a single attempt by the policy that it goes by, p if it has none of its
// own.
func singleAttempt(req *http.Request, p *rebound.Policy) *http.Request {
	if own, ok := httppolicy.Of(req.Context()); ok {
		p = own
	}
	p = p.Clone()
	p.Attempts = 1
	return req.WithContext(reboundhttp.WithPolicy(req.Context(), p))
}

// gaveUp reports whether resp failed, and repeating the request was no use. That it must not be
// repeated is another matter, on which an SDK may think otherwise.
func gaveUp(resp *http.Response) bool {
	e, bad := reboundhttp.CallOf(resp).Err.(*rebound.Error)
	return bad && e.Reason != rebound.NotIdempotent
}

// build makes the parts, once.
func (t *Transport) build() {
	if t.err = t.Validate(); t.err != nil {
		return
	}
	// firstOutput stands below the policy: a stream that fails before its output is a failed attempt.
	g := &firstOutput{
		base: t.Base, output: t.Output, ended: t.Ended,
		header: cmp.Or(t.HeaderTimeout, defaultHeader), idle: cmp.Or(t.IdleTimeout, defaultIdle),
	}
	if g.base == nil {
		g.base = http.DefaultTransport
	}
	if g.output == nil {
		g.output = IsOutput
	}
	if g.ended == nil {
		g.ended = IsEnd
	}
	t.inner = &reboundhttp.Transport{
		Base: g, Policy: t.Policy, Classify: Classify, Idempotent: t.Idempotent,
		Breakers: t.Breakers, FirstByteTimeout: t.FirstOutputTimeout,
	}
	if t.inner.Policy == nil {
		t.inner.Policy = NewPolicy()
	}
	if t.inner.Idempotent == nil {
		t.inner.Idempotent = IsGeneration
	}
}

// CloseIdleConnections closes those of Base, as http.Client.CloseIdleConnections asks it to.
func (t *Transport) CloseIdleConnections() {
	(&reboundhttp.Transport{Base: t.Base}).CloseIdleConnections()
}

// Validate returns an error that names the first invalid field, and what it may be.
func (t *Transport) Validate() error {
	if t.IdleTimeout < 0 {
		return fmt.Errorf("llm: Transport.IdleTimeout is %v: want more than 0, or 0 for %v",
			t.IdleTimeout, defaultIdle)
	}
	if t.HeaderTimeout < 0 {
		return fmt.Errorf("llm: Transport.HeaderTimeout is %v: want more than 0, or 0 for %v",
			t.HeaderTimeout, defaultHeader)
	}
	if t.FirstOutputTimeout < 0 {
		return fmt.Errorf("llm: Transport.FirstOutputTimeout is %v: want more than 0, or 0 for none",
			t.FirstOutputTimeout)
	}
	if t.Quota != nil {
		if err := t.Quota.Validate(); err != nil {
			return err
		}
	}
	return (&reboundhttp.Transport{Policy: t.Policy, Breakers: t.Breakers}).Validate()
}
