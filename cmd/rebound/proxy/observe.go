package proxy

import (
	"log/slog"
	"net/http"
	"time"
)

// log writes a line for a request: no headers, no query, no bodies.
func (p *Proxy) log(req *http.Request, route string, x *exchange, took time.Duration) {
	if p.o.Log == nil {
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
	p.o.Log.LogAttrs(req.Context(), level, "request", attrs...)
}
