package reboundhttp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// Limit returns a handler that passes each request through a gate, such as a limit of package
// limit. A request may wait in the gate until its context ends.
//
// If the gate rejects a request, next is not called. The status is 429 if the rejection is
// RateLimited, and 503 otherwise, for example if a concurrency limit is full. The Retry-After
// header is the After of the rejection in whole seconds, rounded up, and at least 1. A client's
// [Transport] gets the same kind and delay from them.
//
// The gate gets the outcome of every request that it admits. A status of 500 or above is a failure
// of the kind that fault.Response returns. A panic is a failure of unknown kind. A request whose
// client has disconnected is Canceled. Everything else is a success.
//
// Limit keeps no state. For a limit per tenant, write a handler that calls Limit with the gate of
// the tenant.
func Limit(g gate.Gate, next http.Handler) http.Handler { return &limited{g, next} }

type limited struct {
	gate gate.Gate
	next http.Handler
}

func (l *limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pass, err := l.gate.Enter(r.Context())
	if err != nil {
		reject(w, err)
		return
	}
	// After a panic or a runtime.Goexit this stays the zero Outcome.
	var outcome gate.Outcome
	defer func() { l.gate.Leave(pass, outcome) }()
	watched := &watchedWriter{ResponseWriter: w}
	l.next.ServeHTTP(watched, r)
	outcome = watched.outcome(r.Context())
}

// reject answers a request that a gate has rejected. The error's text is not sent, because it is
// meant for the people who run the server.
func reject(w http.ResponseWriter, err error) {
	f, status := fault.Of(err), http.StatusServiceUnavailable
	if f.Kind == fault.RateLimited {
		status = http.StatusTooManyRequests
	}
	w.Header().Set("Retry-After", strconv.FormatInt(wholeSeconds(f.After), 10))
	http.Error(w, http.StatusText(status), status)
}

// wholeSeconds rounds up, because a client that returns too early would be rejected again.
func wholeSeconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return max(s, 1)
}

// watchedWriter records the status of a response. Handlers reach the other abilities of the writer
// through the methods below, or with an http.ResponseController.
type watchedWriter struct {
	http.ResponseWriter
	status int // 0 = none yet
}

// outcome is the outcome of a handler that has returned.
func (w *watchedWriter) outcome(ctx context.Context) gate.Outcome {
	// The server cancels the context of a request whose client has disconnected. A deadline was set by
	// a handler.
	if errors.Is(ctx.Err(), context.Canceled) {
		return gate.Outcome{Fault: fault.Fault{
			Kind: fault.Canceled, Detail: "client gone", Err: context.Cause(ctx),
		}}
	}
	if w.status < http.StatusInternalServerError {
		return gate.Outcome{Result: gate.OK}
	}
	return gate.Outcome{Fault: fault.Response(w.status, w.Header(), time.Now())}
}

// note records the first status that is not interim. A 100 or 103 is followed by the real one.
func (w *watchedWriter) note(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
}

func (w *watchedWriter) WriteHeader(status int) {
	w.note(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	w.note(http.StatusOK) // unless the handler has set another
	return w.ResponseWriter.Write(p)
}

// ReadFrom keeps the server's use of sendfile.
func (w *watchedWriter) ReadFrom(r io.Reader) (int64, error) {
	w.note(http.StatusOK)
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap serves http.ResponseController.
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush makes w an http.Flusher, for handlers that look for one.
func (w *watchedWriter) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController, which reports a writer that cannot flush.
func (w *watchedWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err == nil {
		w.note(http.StatusOK)
	}
	return err
}

// Hijack makes w an http.Hijacker, for handlers that look for one.
func (w *watchedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
