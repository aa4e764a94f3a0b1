package reboundotel_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundotel"
	"github.com/rebound-go/rebound/reboundslog"
	"github.com/rebound-go/rebound/stats"
)

// BenchmarkSuccess measures the cost of a call that succeeds at once, with each observer. The table
// in docs/observe.md is made from it.
func BenchmarkSuccess(b *testing.B) {
	var recorder stats.Recorder
	log := &reboundslog.Logger{To: slog.New(slog.NewJSONHandler(io.Discard, nil))}
	telemetry := benchTelemetry(b, reboundotel.Options{})
	ctx := context.Background()
	work := func(context.Context) (int, error) { return 1, nil }
	for _, row := range []struct {
		name    string
		observe func(context.Context, rebound.Event)
	}{
		{"none", nil},
		{"a function that does nothing", func(context.Context, rebound.Event) {}},
		{"stats", recorder.Observe},
		{"slog", log.Observe},
		{"OTel metrics", telemetry.Observe},
		{"all three", rebound.Observers(recorder.Observe, log.Observe, telemetry.Observe)},
	} {
		b.Run(row.name, func(b *testing.B) {
			p := &rebound.Policy{Name: "ocr", Observe: row.observe}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = rebound.Do(ctx, p, work)
			}
		})
	}
	p := &rebound.Policy{Name: "ocr", Observe: telemetry.Observe}
	spans := func(name string, t *reboundotel.Telemetry) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = reboundotel.Do(ctx, t, p, work)
			}
		})
	}
	spans("OTel, a span per call", telemetry)
	spans("OTel, and a span per attempt",
		benchTelemetry(b, reboundotel.Options{AttemptSpans: true}))
}

// benchTelemetry has a real SDK whose spans are dropped.
func benchTelemetry(b *testing.B, o reboundotel.Options) *reboundotel.Telemetry {
	b.Helper()
	o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	o.TracerProvider = sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	t, err := reboundotel.New(o)
	if err != nil {
		b.Fatal(err)
	}
	return t
}
