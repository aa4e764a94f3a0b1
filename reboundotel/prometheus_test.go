package reboundotel_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundotel"
)

// serve sets up Prometheus as in docs/metrics.md.
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

// scrape gives every metric a value, and returns what Prometheus would get.
func scrape(t *testing.T) string {
	telemetry, handler, failed := serve()
	if failed != nil {
		t.Fatal(failed)
	}
	ocr := &rebound.Policy{
		Name:    "ocr",
		Observe: telemetry.Observe,
		Breaker: &breaker.Breaker{Name: "ocr", OnChange: telemetry.OnChange},
		Budget:  &budget.Budget{Capacity: 20},
	}
	err := telemetry.Watch(reboundotel.Objects{Policies: []*rebound.Policy{ocr}})
	if err != nil {
		t.Fatal(err)
	}
	ocr.Backoff = backoff.Constant(0)
	for _, kind := range []string{"concurrency", "rate", "adaptive", "throttle"} {
		err := telemetry.Watch(reboundotel.Objects{Limits: []reboundotel.Limit{
			aLimit(limit.Snapshot{Name: "l", Kind: kind, Limit: 1}),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	shadow := &breaker.Breaker{Name: "shadow", Shadow: true, OnChange: telemetry.OnChange}
	err = telemetry.Watch(reboundotel.Objects{
		Breakers: []reboundotel.Breaker{shadow},
		Hedges:   []*hedge.Hedge{{Name: "h", After: time.Second}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, fallback := range []error{nil, errDown} {
		call := reboundotel.Attempt(telemetry, failing(2, rebound.Transient(errDown)))
		ctx, end := telemetry.Start(t.Context(), ocr)
		_, err := rebound.DoElse(ctx, ocr, call, nil)
		end(err)
		_, _ = rebound.DoElse(t.Context(), ocr, failing(1, rebound.Permanent(errDown)),
			func(context.Context, error) (int, error) { return 0, fallback })
	}
	ocr.Breaker.ForceOpen()
	shadow.ForceOpen()
	_, _ = rebound.Do(t.Context(), ocr, failing(0, nil))
	for _, r := range []rebound.Reason{rebound.OutOfBudget, rebound.Invalid} {
		telemetry.Observe(t.Context(), rebound.Event{
			Kind: rebound.GaveUp, Policy: "ocr", Attempt: 1, Reason: r,
		})
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	return recorder.Body.String()
}

// samples are what Prometheus would get, by name.
func samples(t *testing.T) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(scrape(t)) {
		name, _, _ := strings.Cut(line, "{")
		found[name] += line
	}
	return found
}

var (
	metric = regexp.MustCompile(`rebound_[a-z_]+(\{[^}]*\})?`)
	label  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	by     = regexp.MustCompile(`(?:by|on)\s+\(([a-z_, ]+)\)`)
	values = regexp.MustCompile(`label_values\((.*), (.*)\)`) // a variable of Grafana
)

// checkQuery checks that every metric and label of a query exists.
func checkQuery(t *testing.T, found map[string]string, query string) {
	t.Helper()
	query = values.ReplaceAllString(query, "$1 by ($2)")
	labels := map[string]bool{}
	for _, list := range by.FindAllStringSubmatch(query, -1) {
		for name := range strings.SplitSeq(list[1], ", ") {
			labels[name] = true
		}
	}
	for _, asked := range metric.FindAllString(by.ReplaceAllString(query, ""), -1) {
		name, selector, _ := strings.Cut(asked, "{")
		if found[name] == "" {
			t.Errorf("there is no %s, which this asks for:\n%s", name, query)
		}
		for _, l := range label.FindAllStringSubmatch(selector, -1) {
			if !strings.Contains(found[name], l[0]) {
				t.Errorf("%s has no %s in:\n%s", name, l[0], found[name])
			}
		}
		maps.DeleteFunc(labels, func(l string, _ bool) bool {
			return strings.Contains(found[name], l+"=")
		})
	}
	if len(labels) > 0 {
		t.Errorf("no label %q in:\n%s", slices.Sorted(maps.Keys(labels)), query)
	}
}

// Every metric in the docs, the dashboard and the alert rules exists.
func TestQueries(t *testing.T) {
	found := samples(t)
	for file, queries := range map[string]struct {
		is    string // one query
		least int
	}{
		"../docs/metrics.md":      {"(?s)```promql\n(.*?)```", 4},
		"dashboards/alerts.yaml":  {`(?s)expr: (?:>-)?(.*?)\n +(?:for|labels):`, 9},
		"dashboards/grafana.json": {`"(?:expr|query|definition)": "(.*rebound.*)"`, 20},
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		matches := regexp.MustCompile(queries.is).FindAllStringSubmatch(string(text), -1)
		for _, m := range matches {
			checkQuery(t, found, strings.ReplaceAll(m[1], `\"`, `"`))
		}
		if len(matches) < queries.least {
			t.Errorf("%s: %d queries found, want %d or more", file, len(matches), queries.least)
		}
	}
}

// The dashboard is JSON, and shows every metric.
func TestDashboardIsWhole(t *testing.T) {
	text, err := os.ReadFile("dashboards/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(text) {
		t.Error("grafana.json is not JSON")
	}
	for line := range strings.Lines(scrape(t)) {
		name, ok := strings.CutPrefix(line, "# TYPE ")
		if name, _, _ = strings.Cut(name, " "); !ok || !strings.HasPrefix(name, "rebound_") {
			continue
		}
		if !strings.Contains(string(text), name) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// Calls without an attempt have a bucket of their own. The docs subtract it.
func TestCallsWithoutAttempt(t *testing.T) {
	found := samples(t)["rebound_call_attempts_bucket"]
	for line := range strings.Lines(found) {
		if strings.Contains(line, `le="0"`) && strings.Contains(line, "failure") {
			if !strings.HasSuffix(line, " 1\n") {
				t.Errorf("the lowest bucket is %s, want the one call that was rejected", line)
			}
			return
		}
	}
	t.Errorf("no bucket of 0 in:\n%s", found)
}

// The table of metrics in the docs matches the scraped metrics.
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
