package proxy

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// log writes a line for a request: no headers, no query, no bodies.
func (p *Proxy) log(req *http.Request, route string, x *exchange, took time.Duration) {
	if p.o.Log == nil {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method), slog.String("route", route),
		slog.Int("status", x.status), slog.Int("attempts", x.attempts),
		slog.Duration("waited", x.waited), slog.Duration("took", took), slog.Int64("bytes", x.bytes),
	}
	if x.stopped != "" {
		attrs = append(attrs, slog.String("stopped", x.stopped))
	}
	level := slog.LevelInfo
	if x.status >= 400 {
		level = slog.LevelWarn
	}
	p.o.Log.LogAttrs(req.Context(), level, "request", attrs...)
}

// Metrics counts what goes through a proxy. It is an http.Handler that writes the text format of
// Prometheus.
type Metrics struct {
	mu       sync.Mutex
	inFlight int
	routes   map[string]*counts
}

type counts struct {
	byStatus         map[int]int
	attempts, bytes  int64
	waited           time.Duration
	retried, stopped int
}

func (m *Metrics) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight++
}

func (m *Metrics) end(route string, x *exchange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	if m.routes == nil {
		m.routes = map[string]*counts{}
	}
	c := m.routes[route]
	if c == nil {
		c = &counts{byStatus: map[int]int{}}
		m.routes[route] = c
	}
	c.byStatus[x.status]++
	c.attempts += int64(x.attempts)
	c.bytes += x.bytes
	c.waited += x.waited
	if x.attempts > 1 {
		c.retried++
	}
	if x.stopped != "" {
		c.stopped++
	}
}

// ServeHTTP writes the counts.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, m.text())
}

func (m *Metrics) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "# TYPE rebound_proxy_in_flight gauge\nrebound_proxy_in_flight %d\n", m.inFlight)
	routes := slices.Sorted(maps.Keys(m.routes))
	b.WriteString("# TYPE rebound_proxy_requests_total counter\n")
	for _, name := range routes {
		for _, status := range slices.Sorted(maps.Keys(m.routes[name].byStatus)) {
			fmt.Fprintf(&b, "rebound_proxy_requests_total{route=%q,status=\"%d\"} %d\n", name, status,
				m.routes[name].byStatus[status])
		}
	}
	for _, metric := range []struct {
		name string
		of   func(*counts) float64
	}{
		{"attempts_total", func(c *counts) float64 { return float64(c.attempts) }},
		{"retried_total", func(c *counts) float64 { return float64(c.retried) }},
		{"failed_total", func(c *counts) float64 { return float64(c.stopped) }},
		{"waited_seconds_total", func(c *counts) float64 { return c.waited.Seconds() }},
		{"response_bytes_total", func(c *counts) float64 { return float64(c.bytes) }},
	} {
		fmt.Fprintf(&b, "# TYPE rebound_proxy_%s counter\n", metric.name)
		for _, name := range routes {
			fmt.Fprintf(&b, "rebound_proxy_%s{route=%q} %v\n", metric.name, name,
				metric.of(m.routes[name]))
		}
	}
	return b.String()
}
