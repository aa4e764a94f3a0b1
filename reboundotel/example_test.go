package reboundotel_test

import (
	"context"
	"errors"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/reboundotel"
)

func ExampleDo() {
	spans := tracetest.NewInMemoryExporter()
	telemetry, err := reboundotel.New(reboundotel.Options{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)),
		AttemptSpans:   true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := &rebound.Policy{
		Name:    "ocr",
		Backoff: backoff.Constant(0),
		Observe: telemetry.Observe,
	}
	tries := 0
	text, err := reboundotel.Do(context.Background(), telemetry, policy,
		func(ctx context.Context) (string, error) {
			if tries++; tries < 3 {
				return "", errors.New("no answer")
			}
			return "12.50 EUR", nil
		})
	fmt.Println(text, err)
	for _, span := range spans.GetSpans() {
		fmt.Println(span.Name, "-", span.Status.Code, "-", len(span.Events), "events")
	}
	// Output:
	// 12.50 EUR <nil>
	// ocr attempt - Error - 0 events
	// ocr attempt - Error - 0 events
	// ocr attempt - Unset - 0 events
	// ocr - Unset - 2 events
}

func ExampleTelemetry_Start() {
	telemetry, err := reboundotel.New(reboundotel.Options{}) // the global providers
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := &rebound.Policy{Name: "ocr", Observe: telemetry.Observe}
	read := reboundotel.Attempt(telemetry, func(context.Context) (string, error) {
		return "", rebound.Permanent(errors.New("not a receipt"))
	})
	ctx, end := telemetry.Start(context.Background(), policy)
	text, err := rebound.DoElse(ctx, policy, read,
		func(context.Context, error) (string, error) { return "read locally", nil })
	end(err)
	fmt.Println(text, err)
	// Output: read locally <nil>
}
