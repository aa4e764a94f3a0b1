package reboundotel_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/reboundotel"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// serve sets up Prometheus as docs/metrics.md has it.
func serve() (*reboundotel.Telemetry, http.Handler, error) {
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return nil, nil, err
	}
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	telemetry, err := reboundotel.New(reboundotel.Options{MeterProvider: meter})
	if err != nil {
		return nil, nil, err
	}
	return telemetry, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), nil
}

// scrape makes some calls, and returns what Prometheus would find.
func scrape(t *testing.T) string {
	telemetry, handler, err := serve()
	if err != nil {
		t.Fatal(err)
	}
	ocr := &rebound.Policy{
		Name:    "ocr",
		Observe: telemetry.Observe,
		Breaker: &breaker.Breaker{Name: "ocr", OnChange: telemetry.OnChange},
		Budget:  &budget.Budget{Capacity: 20},
	}
	if err := telemetry.Watch([]*rebound.Policy{ocr}); err != nil {
		t.Fatal(err)
	}
	call := func(fails int, err error) {
		_, _ = rebound.Do(context.Background(), ocr, failing(fails, err))
	}
	call(0, nil)
	call(1, rebound.Transient(errDown))
	_, _ = rebound.DoElse(context.Background(), ocr, failing(1, rebound.Permanent(errDown)),
		func(context.Context, error) (int, error) { return 0, nil })
	ocr.Breaker.ForceOpen()
	server := httptest.NewServer(handler)
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	promQL = regexp.MustCompile("(?s)```promql\n(.*?)```")
	metric = regexp.MustCompile(`rebound_[a-z_]+(\{[^}]*\})?`)
	label  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	by     = regexp.MustCompile(`by \(([a-z_, ]+)\)`)
)

// Every metric that the docs ask Prometheus for is there, with the labels they name.
func TestQueriesOfTheDocs(t *testing.T) {
	found := map[string]string{} // samples by name
	for line := range strings.Lines(scrape(t)) {
		name, _, _ := strings.Cut(line, "{")
		found[name] += line
	}
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	queries := promQL.FindAllStringSubmatch(string(page), -1)
	for _, query := range queries {
		labels := map[string]bool{}
		for _, list := range by.FindAllStringSubmatch(query[1], -1) {
			for name := range strings.SplitSeq(list[1], ", ") {
				labels[name] = name != "le"
			}
		}
		for _, asked := range metric.FindAllString(by.ReplaceAllString(query[1], ""), -1) {
			name, selector, _ := strings.Cut(asked, "{")
			samples := found[name]
			for _, l := range label.FindAllStringSubmatch(selector, -1) {
				if !strings.Contains(samples, l[0]) {
					t.Errorf("%s has no %s in:\n%s", name, l[0], samples)
				}
			}
			maps.DeleteFunc(labels, func(l string, wanted bool) bool {
				return !wanted || strings.Contains(samples, l+"=")
			})
		}
		if len(labels) > 0 {
			t.Errorf("no label %q in:\n%s", slices.Sorted(maps.Keys(labels)), query[1])
		}
	}
	if len(queries) < 4 {
		t.Errorf("%d queries found, want one or more for each of four questions", len(queries))
	}
}

// The table of metrics in the docs is what is scraped.
func TestTableOfTheDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(rebound_[a-z_]+)` \\|")
	documented := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = true
	}
	scraped := map[string]bool{}
	for line := range strings.Lines(scrape(t)) {
		if name, ok := strings.CutPrefix(line, "# TYPE rebound_"); ok {
			name, _, _ = strings.Cut(name, " ")
			scraped["rebound_"+name] = true
		}
	}
	if !maps.Equal(documented, scraped) {
		t.Errorf("the docs have %q, Prometheus finds %q",
			slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(scraped)))
	}
}
