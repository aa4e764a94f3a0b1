package proxy

import (
	"context"
	"net/http"

	"github.com/rebound-go/rebound/cmd/rebound/proxy/metrics"
)

// exchange is a request with what became of it.
type exchange struct {
	http.ResponseWriter
	metrics.Outcome
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

// WriteHeader notes the status.
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
