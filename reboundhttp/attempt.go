package reboundhttp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// call is one RoundTrip. It lives on the stack; what outlives it is in its record.
type call struct {
	t      *Transport
	req    *http.Request // the caller's
	traits               // of it
	plan                 // what to do

	out    *http.Request  // what is sent: req itself, if nothing is to be added
	body   *replay        // the request's body, if req has no GetBody
	rec    *record        // what CallOf will tell; nil while that is nothing
	n      int            // attempts begun
	resent int            // requests that net/http sent again by itself
	ended  time.Time      // the last attempt
	bad    *http.Response // the last attempt's, if it failed with one
}

var errNothing = errors.New("reboundhttp: Base returned neither a response nor an error")

// attempt is what the policy repeats.
func (c *call) attempt(ctx context.Context) (*http.Response, error) {
	if c.n++; c.n == 1 {
		c.prepare()
	} else {
		c.noteWait()
	}
	req, lim, err := c.request(ctx)
	if err != nil {
		return nil, err // and the response of the attempt before is the last there is
	}
	c.discard()
	resp, err := c.t.base().RoundTrip(req)
	if err == nil && resp == nil {
		err = rebound.Permanent(errNothing)
	}
	if err != nil && resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if lim != nil {
		resp, err = lim.settle(resp, err)
	}
	w := c.heard(err)
	if err == nil && good(resp.StatusCode) {
		return resp, nil
	}
	c.ended = time.Now()
	if err != nil {
		return nil, c.failure(err, w)
	}
	return nil, c.refusal(resp)
}

// prepare makes the request that is sent, once for all attempts.
func (c *call) prepare() {
	c.out = c.req
	traced := c.t.traced()
	switch {
	case traced:
		c.rec = &record{Context: c.req.Context()}
		c.rec.req = *c.req.WithContext(c.rec.traced())
		c.out = &c.rec.req
	case c.once || c.mint:
		c.out = c.req.WithContext(c.req.Context())
	}
	if c.mint {
		c.out.Header = withKey(c.req.Header)
	}
	if c.once {
		c.body = newReplay(c.req, c.t.maxBuffer())
		c.out.Body, _ = c.body.open()
		c.out.GetBody = c.body.open
	}
}

// withKey returns a copy of h with an Idempotency-Key of 128 random bits.
func withKey(h http.Header) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set("Idempotency-Key", rand.Text())
	return h
}

// request is what this attempt sends, and its limits, nil if it has none. bound is the context that
// MaxElapsed ends; unlike the request's it ends with the attempt, before the body is read.
func (c *call) request(bound context.Context) (*http.Request, *limits, error) {
	body, again := c.out.Body, c.n > 1 && hasBody(c.out)
	if again {
		var err error
		if body, err = c.out.GetBody(); err != nil {
			return nil, nil, rebound.Permanent(&bodyError{err})
		}
	}
	lim, fresh := c.limits(bound), c.misdirected()
	if lim == nil && !again && !fresh {
		return c.out, nil, nil
	}
	ctx := c.out.Context()
	if lim != nil {
		ctx = lim.ctx
	}
	req := c.out.WithContext(ctx)
	req.Body = body
	req.Close = req.Close || fresh
	return req, lim, nil
}

// misdirected reports whether the attempt before was answered 421, which holds for its connection.
// The next one then wants another (RFC 9110, 15.5.20). Base's idle ones are closed for that; an
// HTTP/2 connection that others use is still taken once more, and no more after a request with
// Close.
func (c *call) misdirected() bool {
	return c.bad != nil && c.bad.StatusCode == http.StatusMisdirectedRequest
}

// bodyError is the failure to get the request's body for another attempt.
type bodyError struct{ err error }

func (e *bodyError) Error() string {
	return "reboundhttp: the request's body for another attempt: " + e.err.Error()
}
func (e *bodyError) Unwrap() error { return e.err }

// discard gives up the response of the attempt before. What there is of its body has been read,
// so that its connection can serve again, unless that was too much.
func (c *call) discard() {
	if c.bad != nil && c.bad.Body != nil {
		_ = c.bad.Body.Close()
	}
	if c.misdirected() {
		c.t.CloseIdleConnections()
	}
	c.bad = nil
}

// failure is the error of an attempt that got no response.
func (c *call) failure(err error, w wire) error {
	var header tls.RecordHeaderError
	if errors.As(err, &header) && string(header.RecordHeader[:]) == "HTTP/" {
		err = http.ErrSchemeMismatch // as http.Client would tell it, if it saw the error itself
	}
	e := attemptError{err: err, unsent: w.unsent(), spent: c.spent(), resent: c.overdone(w)}
	if e.unsent || e.spent || e.resent {
		return &e
	}
	return err
}

// refusal is the error of an attempt whose response has a bad status. It reads the beginning of
// the response's body if somebody may want to see it, or its connection may be wanted again.
func (c *call) refusal(resp *http.Response) error {
	c.bad = resp
	f := answered(resp, c.ended)
	if !c.curious && (inMemory(resp.Body) || c.stops(f)) {
		return c.mark(&StatusError{Response: resp, fault: f, known: true})
	}
	return c.mark(newStatusError(resp, f))
}

// stops reports whether f ends the call, as far as the policy alone can tell.
func (c *call) stops(f fault.Fault) bool {
	return !c.policy.Decide(rebound.State{Attempt: c.n, U: -1}, f).Retry
}

// mark adds to a bad response's error that the request cannot be sent again, if that is so.
func (c *call) mark(e *StatusError) error {
	if c.spent() {
		return &attemptError{err: e, spent: true}
	}
	return e
}

// spent reports whether the request cannot be sent again because its body is gone.
func (c *call) spent() bool { return c.body != nil && c.body.spent() }

// overdone reports whether net/http has sent the request more often in this one attempt than the
// policy would have in all, as it does when a server refuses HTTP/2 streams: that is a layer below
// that retried.
func (c *call) overdone(w wire) bool {
	limit := c.policy.MaxAttempts()
	return limit > 0 && w.sent > limit
}

// finish makes what RoundTrip returns of what Do returned.
func (c *call) finish(resp *http.Response, err error) (*http.Response, error) {
	if c.body != nil {
		c.body.finish()
	}
	if c.n == 0 {
		closeBody(c.req)
	}
	if err == nil {
		c.tell(resp, nil)
		return resp, nil
	}
	e := c.counted(err.(*rebound.Error))
	if c.bad == nil || e.Reason == rebound.Canceled {
		c.discard()
		return nil, e
	}
	if c.n > 1 {
		c.bad.Header = final(c.bad.Header)
	}
	c.tell(c.bad, e)
	return c.bad, nil
}

// counted is e with the attempts that went over the wire. It copies e, which Observe has seen.
func (c *call) counted(e *rebound.Error) *rebound.Error {
	if c.resent == 0 {
		return e
	}
	told := *e
	told.Attempts += c.resent
	return &told
}

// attemptError is the error of an attempt of which the Transport knows more than the error says.
type attemptError struct {
	err    error
	unsent bool // no connection was had to send the request on
	spent  bool // the body cannot be sent again
	resent bool // net/http retried it to the end
}

func (e *attemptError) Error() string { return e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

// DescribeFault is that of the error itself and what the Transport knows.
func (e *attemptError) DescribeFault() fault.Fault { return e.over(fault.Of(e.err)) }

func (e *attemptError) over(f fault.Fault) fault.Fault {
	if e.unsent {
		f = unsent(f, e.err)
	}
	if e.spent {
		f.Detail = strings.TrimPrefix(f.Detail+", body sent once", ", ")
	}
	f.Final = f.Final || e.resent
	f.Err = e
	return f
}
