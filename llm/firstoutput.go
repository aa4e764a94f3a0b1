package llm

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// firstOutput is what the repeating transport makes its attempts with. An attempt at a generation
// lasts until the answer is whole, or a stream has its first output, so that what fails before is
// repeated like any other failure.
type firstOutput struct {
	base          http.RoundTripper
	output, ended func(Event) bool
	idle          time.Duration
}

// RoundTrip returns a stream once it has output. The response of one whose provider sent an error
// before has the status and the body that the error would have had at once.
func (g *firstOutput) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	resp, err := g.base.RoundTrip(req.WithContext(ctx))
	if err != nil || resp == nil || resp.Body == nil {
		cancel(nil)
		return resp, err
	}
	resp.Request = req // whose context does not end with the body
	if resp.StatusCode == http.StatusSwitchingProtocols {
		context.AfterFunc(req.Context(), func() { cancel(nil) })
		return resp, nil
	}
	resp.Body = &idleBody{ReadCloser: resp.Body, limit: g.idle, ctx: ctx, cancel: cancel}
	switch {
	case !IsGeneration(req) || resp.StatusCode != http.StatusOK:
		return resp, nil
	case !isStream(resp) && inPieces(req):
		return resp, nil
	case !isStream(resp):
		return whole(resp)
	}
	w := &streamReader{output: g.output, ended: g.ended, body: resp.Body}
	w.begin()
	e := w.failure()
	switch {
	case e == nil:
		resp.Body = w
		return resp, nil
	case e.Err != nil:
		_ = w.Close()
		return nil, e
	}
	_ = w.Close()
	return refusal(resp, e.Event), nil
}

// CloseIdleConnections closes those of the base, for the repeating transport.
func (g *firstOutput) CloseIdleConnections() {
	if c, ok := g.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func isStream(resp *http.Response) bool {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	encoded := resp.Header.Get("Content-Encoding")
	return kind == "text/event-stream" && (encoded == "" || encoded == "identity")
}

// whole reads an answer in JSON before it is the caller's, who could not do much with half of it.
// What is longer than 4 MiB is passed on as it comes.
func whole(resp *http.Response) (*http.Response, error) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/json" {
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHeld))
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	if len(body) < maxHeld {
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, nil
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
	return resp, nil
}

// refusal is the response that the provider would have given, had it known in time.
func refusal(resp *http.Response, e Event) *http.Response {
	body := errorBody(e)
	r := *resp
	r.StatusCode = parse(e.Data).guessStatus()
	r.Status = strconv.Itoa(r.StatusCode) + " " + http.StatusText(r.StatusCode)
	r.Header = resp.Header.Clone()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
	r.Body = io.NopCloser(bytes.NewReader(body))
	return &r
}
