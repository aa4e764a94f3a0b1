package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/proxy/metrics"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/secret"
)

// exchange is the ResponseWriter of a request, which records the outcome.
type exchange struct {
	http.ResponseWriter
	metrics.Outcome
	secrets secret.Secrets
	release func() // releases the body of the request
}

type exchangeKey struct{}

func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// Unwrap lets http.ResponseController flush.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Flush sends what was written.
func (x *exchange) Flush() { _ = http.NewResponseController(x.ResponseWriter).Flush() }

// WriteHeader records the status.
func (x *exchange) WriteHeader(status int) {
	if status >= 200 {
		x.Status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (x *exchange) Write(p []byte) (int, error) {
	n, err := x.ResponseWriter.Write(p)
	x.Bytes += int64(n)
	return n, err
}

// log writes a line for the request, without its path, headers, query or body.
func (x *exchange) log(to *slog.Logger, req *http.Request, route string, took time.Duration) {
	if to == nil {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method), slog.String("route", route),
		slog.Int("status", x.Status), slog.Int("attempts", x.Attempts),
		slog.Duration("waited", x.Waited), slog.Duration("took", took), slog.Int64("bytes", x.Bytes),
	}
	if x.Stopped != "" {
		attrs = append(attrs, slog.String("stopped", x.Stopped))
	}
	level := slog.LevelInfo
	if x.Status >= 400 {
		level = slog.LevelWarn
	}
	to.LogAttrs(req.Context(), level, "request", attrs...)
}
