package reboundotel_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/reboundotel"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// collector is the endpoint of an OpenTelemetry collector, as far as OTLP over HTTP goes.
type collector struct {
	*testing.T
	mu      sync.Mutex
	spans   []*tracepb.Span
	metrics map[string]string // unit by name
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			c.Error(err)
			return
		}
		body = z
	}
	data, err := io.ReadAll(body)
	if err != nil {
		c.Error(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.URL.Path {
	case "/v1/traces":
		err = c.addSpans(data)
	case "/v1/metrics":
		err = c.addMetrics(data)
	default:
		c.Errorf("a request for %s", r.URL.Path)
	}
	if err != nil {
		c.Error(err)
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer is a success
}

func (c *collector) addSpans(data []byte) error {
	var request collectortrace.ExportTraceServiceRequest
	err := proto.Unmarshal(data, &request)
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	return err
}

func (c *collector) addMetrics(data []byte) error {
	var request collectormetrics.ExportMetricsServiceRequest
	err := proto.Unmarshal(data, &request)
	for _, resource := range request.ResourceMetrics {
		for _, scope := range resource.ScopeMetrics {
			for _, m := range scope.Metrics {
				c.metrics[m.Name] = m.Unit
			}
		}
	}
	return err
}

// A call under the real exporters reaches a collector.
func TestOTLP(t *testing.T) {
	c := &collector{T: t, metrics: map[string]string{}}
	server := httptest.NewServer(c)
	defer server.Close()
	ctx := context.Background()
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(server.URL+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpointURL(server.URL+"/v1/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans))
	meter := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)))
	telemetry, err := reboundotel.New(reboundotel.Options{
		TracerProvider: tracer, MeterProvider: meter, AttemptSpans: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &rebound.Policy{Name: "ocr", Backoff: backoff.Constant(0), Observe: telemetry.Observe}
	_, _ = reboundotel.Do(ctx, telemetry, p, failing(1, errDown))
	if err := tracer.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := meter.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	c.check()
}

// check finds the call's span with its event, two attempts below it, and the metrics.
func (c *collector) check() {
	c.mu.Lock()
	defer c.mu.Unlock()
	names, parents, events := map[string]int{}, map[string]int{}, 0
	for _, span := range c.spans {
		names[span.Name]++
		parents[string(span.ParentSpanId)]++
		events += len(span.Events)
	}
	if names["ocr"] != 1 || names["ocr attempt"] != 2 || len(parents) != 2 || events != 1 {
		c.Errorf("the collector has the spans %v with %d events, want a call with one, and "+
			"two attempts", names, events)
	}
	for name, unit := range map[string]string{
		"rebound.call.duration": "s", "rebound.call.attempts": "{attempt}",
		"rebound.retry.delay": "s",
	} {
		if got, ok := c.metrics[name]; !ok || got != unit {
			c.Errorf("the collector has %s in %q, want %q", name, got, unit)
		}
	}
}
