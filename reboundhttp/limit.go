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

// Limit returns the handler of a server that serves each request inside a gate, such as a limit of
// package limit. A request may wait in the gate as long as its client does.
//
// A request that the gate rejects gets the status 429 if the rejection is RateLimited, and 503 for
// any other, such as a limit that is full. Its Retry-After is the After of the rejection in
// seconds, rounded up, and at least 1. A [Transport] reads the same kind and the same delay from
// them. The next handler is not called.
//
// The gate learns the outcome of every other request. A status of 500 and up is a failure, with the
// kind that fault.Response has for it. A panic is a failure of unknown kind, and a request whose
// client is gone is Canceled. All else is a success.
//
// For a limit for each tenant, call Limit with the gate of its key in a handler: it holds no state
// of its own.
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

// reject answers a request that a gate has rejected. The error's text stays here, as it is for the
// people who run the server.
func reject(w http.ResponseWriter, err error) {
	f, status := fault.Of(err), http.StatusServiceUnavailable
	if f.Kind == fault.RateLimited {
		status = http.StatusTooManyRequests
	}
	w.Header().Set("Retry-After", strconv.FormatInt(wholeSeconds(f.After), 10))
	http.Error(w, http.StatusText(status), status)
}

// wholeSeconds rounds up: a client that comes back too early is rejected again.
func wholeSeconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return max(s, 1)
}

// watchedWriter notes the status of a response. What else the writer can do, a handler reaches by
// the methods below, or with an http.ResponseController.
type watchedWriter struct {
	http.ResponseWriter
	status int // 0 = none yet
}

// outcome is that of a handler that has returned.
func (w *watchedWriter) outcome(ctx context.Context) gate.Outcome {
	// The server ends the context of a request whose client is gone. A deadline is a handler's.
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

// note keeps the first status that is not an interim one.
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

// ReadFrom lets the server use sendfile.
func (w *watchedWriter) ReadFrom(r io.Reader) (int64, error) {
	w.note(http.StatusOK)
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap is for http.ResponseController.
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
