package llm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// firstOutput makes the attempts of the reboundhttp.Transport. An attempt of a generation lasts
// until the answer is complete, or until a stream has its first output. So a failure before that is
// retried like any other.
type firstOutput struct {
	base          http.RoundTripper
	output, ended func(Event) bool
	header, idle  time.Duration
}

// RoundTrip returns a stream once it has output. If the provider sends an error before the output,
// the response has the status and body that the error would have had without streaming. The same
// holds for an answer that is an error in spite of its status.
func (g *firstOutput) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	body := &idleBody{limit: g.idle, ctx: ctx, cancel: cancel}
	// A timer is used and not a deadline, because the context must not end before the body. The body
	// uses the same timer later, because a reset costs less than another timer.
	body.timer = time.AfterFunc(g.header, func() {
		// Once the body is being read, the timer bounds its pauses.
		if body.read.Load() {
			body.late()
		} else {
			cancel(&waitError{"header", g.header})
		}
	})
	r := reserved(req)
	if r != nil {
		ctx = unreserved(ctx)
	}
	resp, err := g.base.RoundTrip(req.WithContext(ctx))
	body.timer.Stop()
	if err != nil || resp == nil || resp.Body == nil {
		err = waitedFor(ctx, err)
		cancel(nil)
		return resp, err
	}
	// Every response of the provider has the headers of its limits, failed ones included.
	if r != nil {
		r.meter.learn(resp.Header, time.Now())
	}
	resp.Request = req // whose context does not end with the body
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// After an upgrade the connection belongs to the caller, so nothing here may time it out.
		context.AfterFunc(req.Context(), func() { cancel(nil) })
		return resp, nil
	}
	body.ReadCloser, resp.Body = resp.Body, body
	if !IsGeneration(req) || resp.StatusCode < 200 || resp.StatusCode > 299 ||
		resp.StatusCode == http.StatusNoContent {
		return resp, nil
	}
	resp, err = g.answer(req, resp, r)
	if err != nil {
		cancel(nil)
	}
	return resp, err
}

// answer is the response to a generation once its shape is known. The usage in it settles r, which
// may be nil.
func (g *firstOutput) answer(
	req *http.Request, resp *http.Response, r *reservation,
) (*http.Response, error) {
	body := peek(resp)
	// The beginning of the body decides, because gateways put wrong types on what they pass on.
	shape, err := shapeOf(resp, body, inPieces(req))
	if err != nil {
		_ = body.Close()
		return nil, err
	}
	resp.Body = body
	switch shape {
	case shapePieces:
		return firstPiece(resp, body, r)
	case shapeDocument:
		return whole(resp, body, r)
	case shapeEvents:
		return g.stream(resp, r)
	}
	return resp, nil
}

// stream reads a stream to its first output.
func (g *firstOutput) stream(resp *http.Response, r *reservation) (*http.Response, error) {
	w := &streamReader{output: g.output, ended: g.ended, body: resp.Body, seen: r.reader()}
	w.begin()
	e := w.failure()
	switch {
	case e == nil:
		resp.Body = r.metered(w, false)
		return resp, nil
	// The stream broke without an error event, so no response can be made from it.
	case e.Err != nil:
		_ = w.Close()
		return nil, e
	}
	_ = w.Close()
	return refusal(resp, e.Event), nil
}

// OwnTimeouts marks a base that ends its own connections after HeaderTimeout and IdleTimeout.
func (g *firstOutput) OwnTimeouts() {}

// CloseIdleConnections closes the idle connections of the base. The repeating transport calls it
// after a 421, because the next attempt needs another connection.
func (g *firstOutput) CloseIdleConnections() {
	if c, ok := g.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// idleBody is the body of a response that must not pause for longer than limit. Closing it ends
// ctx, the context of the attempt.
type idleBody struct {
	io.ReadCloser
	limit  time.Duration
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	read   atomic.Bool // has begun
}

// late ends the attempt, because its body has paused for too long.
func (b *idleBody) late() { b.cancel(&waitError{"data", b.limit}) }

// Read returns the waitError if that ended the context. net/http's own error could be one of many.
func (b *idleBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	if b.timer == nil {
		b.timer = time.AfterFunc(b.limit, b.late)
	} else {
		b.timer.Reset(b.limit)
	}
	n, err := b.ReadCloser.Read(p)
	// The timer runs only while Read waits for data, not while the caller works with it.
	b.timer.Stop()
	if err == io.EOF { // the body is complete
		return n, err
	}
	return n, waitedFor(b.ctx, err)
}

// Close ends the context, which closes the connection if the body was not read to its end.
func (b *idleBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// waitError reports that the header or the data took too long. It is the cause with which an
// attempt's context is canceled. The error that net/http makes of the cancellation would look as if
// the caller had given up.
type waitError struct {
	what  string
	limit time.Duration
}

func (e *waitError) Error() string { return fmt.Sprintf("llm: no %s for %v", e.what, e.limit) }
func (e *waitError) Timeout() bool { return true }

// Is matches context.DeadlineExceeded, as net/http's own timeouts do.
func (e *waitError) Is(target error) bool { return target == context.DeadlineExceeded }

// waitedFor returns the waitError that ended ctx, or err if none did.
func waitedFor(ctx context.Context, err error) error {
	if late, ok := context.Cause(ctx).(*waitError); ok && err != nil {
		return late
	}
	return err
}
