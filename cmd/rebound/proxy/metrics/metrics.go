// Package metrics counts the requests of a proxy.
package metrics

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Outcome is the outcome of a request.
type Outcome struct {
	Status   int           // of the response
	Attempts int           // to the API
	Waited   time.Duration // the total of the delays between attempts
	Bytes    int64         // of the response's body
	Stopped  string        // why a failure was not retried; empty = success
}

// Metrics counts requests. It is an http.Handler that writes the text format of Prometheus. The
// zero value is ready to use.
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

// Begin counts a request in flight.
func (m *Metrics) Begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight++
}

// End counts the outcome of a request.
func (m *Metrics) End(route string, o Outcome) {
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
	c.byStatus[o.Status]++
	c.attempts += int64(o.Attempts)
	c.bytes += o.Bytes
	c.waited += o.Waited
	if o.Attempts > 1 {
		c.retried++
	}
	if o.Stopped != "" {
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
