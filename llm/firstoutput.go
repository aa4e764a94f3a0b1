package llm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// firstOutput is what the repeating transport makes its attempts with. An attempt at a generation
// lasts until the answer is whole, or a stream has its first output, so that what fails before is
// repeated like any other failure.
type firstOutput struct {
	base          http.RoundTripper
	output, ended func(Event) bool
	header, idle  time.Duration
}

// RoundTrip returns a stream once it has output. The response of one whose provider sent an error
// before has the status and the body that the error would have had at once, and so has an answer
// that is an error in spite of its status.
func (g *firstOutput) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	body := &idleBody{limit: g.idle, ctx: ctx, cancel: cancel}
	// A timer of its own, since the context has to live on for the body. It is the body's later: to
	// make another one would cost more than to set this one again.
	body.timer = time.AfterFunc(g.header, func() {
		if body.read.Load() {
			body.late()
		} else {
			cancel(&waitError{"header", g.header})
		}
	})
	resp, err := g.base.RoundTrip(req.WithContext(ctx))
	body.timer.Stop()
	if err != nil || resp == nil || resp.Body == nil {
		err = waitedFor(ctx, err)
		cancel(nil)
		return resp, err
	}
	r := reserved(req)
	if r != nil {
		r.meter.learn(resp.Header, time.Now())
	}
	resp.Request = req // whose context does not end with the body
	if resp.StatusCode == http.StatusSwitchingProtocols {
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

// answer is the response to a generation once it is known to be one. Its usage settles r, which may
// be nil.
func (g *firstOutput) answer(
	req *http.Request, resp *http.Response, r *reservation,
) (*http.Response, error) {
	body := peek(resp)
	// The body's beginning decides, as gateways put wrong types on what they pass on.
	shape, err := shapeOf(resp, body, inPieces(req))
	if err != nil {
		_ = body.Close()
		return nil, err
	}
	resp.Body = body
	switch shape {
	case shapePieces:
		resp.Body = r.metered(body, true)
		return firstPiece(resp, body)
	case shapeDocument:
		return whole(resp, body, r)
	case shapeEvents:
		return g.stream(resp, r)
	}
	return resp, nil
}

// stream reads to the first output.
func (g *firstOutput) stream(resp *http.Response, r *reservation) (*http.Response, error) {
	w := &streamReader{output: g.output, ended: g.ended, body: resp.Body, seen: r.reader()}
	w.begin()
	e := w.failure()
	switch {
	case e == nil:
		resp.Body = r.metered(w, false)
		return resp, nil
	case e.Err != nil:
		_ = w.Close()
		return nil, e
	}
	_ = w.Close()
	return refusal(resp, e.Event), nil
}

// OwnTimeouts makes the repeating transport leave a connection after HeaderTimeout and IdleTimeout.
func (g *firstOutput) OwnTimeouts() {}

// CloseIdleConnections closes those of the base. The repeating transport asks for it after a 421,
// whose next attempt wants another connection.
func (g *firstOutput) CloseIdleConnections() {
	if c, ok := g.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// idleBody is the body of a response that must not be silent for too long. Its context is that of
// the request, which ends with it.
type idleBody struct {
	io.ReadCloser
	limit  time.Duration
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	read   atomic.Bool // has begun
}

// late ends the request since its body pauses for too long.
func (b *idleBody) late() { b.cancel(&waitError{"data", b.limit}) }

// Read returns a waitError if the context has ended for one: net/http returns errors of many kinds.
func (b *idleBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	if b.timer == nil {
		b.timer = time.AfterFunc(b.limit, b.late)
	} else {
		b.timer.Reset(b.limit)
	}
	n, err := b.ReadCloser.Read(p)
	// The timer runs while Read waits for data, not while the caller works with it.
	b.timer.Stop()
	if err == io.EOF { // a whole body is whole, however late
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

// waitError is a wait that was too long. It is the cause with which a request's context is
// canceled: what the transport makes of that would look as if the caller had gone away.
type waitError struct {
	what  string
	limit time.Duration
}

func (e *waitError) Error() string { return fmt.Sprintf("llm: no %s for %v", e.what, e.limit) }
func (e *waitError) Timeout() bool { return true }

// Is makes it a context.DeadlineExceeded, as net/http's own timeouts are.
func (e *waitError) Is(target error) bool { return target == context.DeadlineExceeded }

// waitedFor is the waitError that ended ctx, or err if none did.
func waitedFor(ctx context.Context, err error) error {
	if late, ok := context.Cause(ctx).(*waitError); ok && err != nil {
		return late
	}
	return err
}
