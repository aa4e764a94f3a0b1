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
// reads their errors, repeats generations and watches streams. The zero Transport is ready to use.
// Any number of goroutines may use it. Its fields must not be changed once it is in use.
//
// A JSON answer to a generation is read to its end first. The request is retried if the answer
// breaks off, is empty, or is an error with a good status. JSON in pieces, such as Google's
// streamGenerateContent without alt=sse, is passed on after the first piece. If the Content-Type
// and the body's first byte disagree on JSON or events, the byte decides.
//
// A stream of events is returned once its first output has arrived. If the stream fails before
// that, it is retried. If the last attempt fails with an error event, the event becomes a response
// with the status that fits it. After the first output nothing is retried. An error event then
// reaches the caller unchanged. If the stream breaks, pauses for too long or ends without its end
// mark, the body's Read returns a [*StreamError].
//
// The attempts of SDKs with their own retry loop add to those of the policy and do not multiply
// them. A response that is not worth a retry has the header X-Should-Retry: false, which the SDKs
// of OpenAI and Anthropic obey. They still retry an error without a response. Such a retry gets a
// single attempt.
type Transport struct {
	// Base makes the attempts. Nil = http.DefaultTransport.
	Base http.RoundTripper

	// Policy is the policy of each request. Leave its AttemptTimeout at 0 for streams, because it
	// covers the whole stream. A policy without Classify uses [Classify], and so does a policy from
	// [reboundhttp.WithPolicy]. Nil = the policy of [NewPolicy].
	Policy *rebound.Policy

	// Idempotent reports whether a request may be repeated. It is not called for requests that always
	// may. Nil = IsGeneration.
	Idempotent func(*http.Request) bool

	// Breakers holds a breaker for each host (URL.Host). Nil = none.
	Breakers *breaker.Group[string]

	// Quota keeps requests within the provider's limits. The time that attempts spend in its queue is
	// not part of their timeouts. Nil = none.
	Quota *Quota

	// FirstOutputTimeout bounds the first part of an attempt. For a stream this is the time to the
	// first output, and for a JSON answer to a generation the time to its end. For any other response
	// it is the time to the header. 0 = none.
	FirstOutputTimeout time.Duration

	// HeaderTimeout bounds the time from the start of an attempt to the header of its response. Many
	// providers send the header only when the answer is complete. 0 = 10 minutes.
	HeaderTimeout time.Duration

	// IdleTimeout is the longest pause of a response's body. Many servers send pings and comments
	// while a model thinks; these end a pause. 0 = 5 minutes.
	IdleTimeout time.Duration

	// Output reports whether an event is output, which cannot be taken back. The stream may be retried
	// until the first such event. Up to 4 MiB are held back before it. If Output always returns false,
	// a stream of up to 4 MiB is returned only when it is complete. Nil = IsOutput.
	Output func(Event) bool

	// Ended reports whether an event marks the end of a stream. Nil = IsEnd.
	Ended func(Event) bool

	once  sync.Once
	inner *reboundhttp.Transport
	err   error // the error of Validate
}

// NewClient returns a client with a [Transport] whose Policy is p. A nil p is the policy of
// [NewPolicy]. The client has no Timeout. The Transport bounds each attempt: 10 minutes to the
// header, and 5 minutes for a pause in the body.
//
// Nothing is printed during a long delay. To log each delay, set the policy's Observe to that of a
// [github.com/rebound-go/rebound/reboundslog.Logger].
func NewClient(p *rebound.Policy) *http.Client {
	return &http.Client{Transport: &Transport{Policy: p}}
}

// RoundTrip sends req, with retries, and returns the last response, with any status, or a
// [*rebound.Error].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.once.Do(t.build)
	if t.err != nil {
		// A RoundTripper must close the body, even if it sends nothing.
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, &rebound.Error{Reason: rebound.Invalid, Cause: t.err}
	}
	// The SDKs of OpenAI and Anthropic count their own retries in this header.
	if n := first(req.Header, "X-Stainless-Retry-Count"); n != "" && n != "0" {
		req = singleAttempt(req, t.inner.Policy)
	}
	if t.Quota != nil && t.Quota.applies(req) {
		call := t.Quota.guard(req)
		defer call.done()
		req = req.WithContext(call)
	}
	resp, err := t.inner.RoundTrip(req)
	if err == nil && gaveUp(resp) {
		// A copy, because a Base may share headers between responses.
		h := resp.Header.Clone()
		h.Set("X-Should-Retry", "false")
		resp.Header = h
	}
	return resp, err
}

// singleAttempt is req with a single attempt by the policy that applies to it: its own, or else p.
func singleAttempt(req *http.Request, p *rebound.Policy) *http.Request {
	if own := httppolicy.Of(req.Context()).Own; own != nil {
		p = own.Policy
	}
	p = p.Clone()
	p.Attempts = 1
	return req.WithContext(reboundhttp.WithPolicy(req.Context(), p))
}

// gaveUp reports whether resp is a failure that further attempts would not change. For a request
// that was not repeated because it is not idempotent, the SDK decides.
func gaveUp(resp *http.Response) bool {
	e, bad := reboundhttp.CallOf(resp).Err.(*rebound.Error)
	return bad && e.Reason != rebound.NotIdempotent
}

// build makes the parts, once. firstOutput stands below the policy, so that a stream which fails
// before its output is a failed attempt.
func (t *Transport) build() {
	if t.err = t.Validate(); t.err != nil {
		return
	}
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

// CloseIdleConnections closes the idle connections of Base. http.Client.CloseIdleConnections calls
// it.
func (t *Transport) CloseIdleConnections() {
	(&reboundhttp.Transport{Base: t.Base}).CloseIdleConnections()
}

// Validate returns an error that names the first invalid field and its valid values, or nil.
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
