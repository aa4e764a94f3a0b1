package reboundotel_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/reboundotel"
)

var errDown = errors.New("down for maintenance")

// sdk is a real SDK that keeps everything in memory.
type sdk struct {
	*testing.T
	reader *sdkmetric.ManualReader
	spans  *tracetest.InMemoryExporter
	*reboundotel.Telemetry
}

func newSDK(t *testing.T, o reboundotel.Options) *sdk {
	s := &sdk{T: t, reader: sdkmetric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	o.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans))
	var err error
	if s.Telemetry, err = reboundotel.New(o); err != nil {
		t.Fatal(err)
	}
	return s
}

// policy has delays of zero.
func (s *sdk) policy(name string) *rebound.Policy {
	return &rebound.Policy{
		Name: name, Observe: s.Observe,
		Backoff: backoff.Constant(0), Throttled: backoff.Constant(0),
	}
}

// metrics collects, and returns each data point as a line with the metric, its attributes and its
// value. For a histogram, that is the count, and the sum if the unit is not seconds.
func (s *sdk) metrics() (lines []string) {
	s.Helper()
	var all metricdata.ResourceMetrics
	if err := s.reader.Collect(s.Context(), &all); err != nil {
		s.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			lines = append(lines, points(m)...)
		}
	}
	slices.Sort(lines)
	return lines
}

func points(m metricdata.Metrics) (lines []string) {
	add := func(a attribute.Set, value string) {
		lines = append(lines, fmt.Sprintf("%s{%s} %s", m.Name, encoded(a.ToSlice()), value))
	}
	switch data := m.Data.(type) {
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprint(p.Count))
		}
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprintf("%d, %d in all", p.Count, p.Sum))
		}
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprint(p.Value))
		}
	case metricdata.Gauge[int64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprint(p.Value))
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprint(math.Round(100*p.Value)/100))
		}
	default:
		lines = append(lines, fmt.Sprintf("%s %T", m.Name, data))
	}
	return lines
}

// encoded writes attributes without the prefix that most share.
func encoded(attributes []attribute.KeyValue) string {
	var words []string
	for _, a := range attributes {
		key := strings.TrimPrefix(string(a.Key), "rebound.")
		words = append(words, key+"="+a.Value.String())
	}
	return strings.Join(words, " ")
}

// want fails the test unless got is exactly these lines.
func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if !slices.Equal(got, lines) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

// failing returns a function that fails n times with err.
func failing(times int, err error) func(context.Context) (int, error) {
	n := 0
	return func(context.Context) (int, error) {
		if n++; n <= times {
			return n, err
		}
		return n, nil
	}
}
