package reboundotel_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundotel"
)

const noText = "bad\xff"

// report makes everything report with names and errors that are not UTF-8.
func report(t *testing.T, telemetry *reboundotel.Telemetry) {
	t.Helper()
	b := &breaker.Breaker{Name: noText, OnChange: telemetry.OnChange}
	p := &rebound.Policy{
		Name: noText, Attempts: 2, Observe: telemetry.Observe, Breaker: b,
		Gates: []gate.Gate{&limit.Throttle{Name: noText}},
	}
	err := telemetry.Watch(reboundotel.Objects{
		Policies: []*rebound.Policy{p}, Hedges: []*hedge.Hedge{{Name: noText}},
		Limits: []reboundotel.Limit{aLimit(limit.Snapshot{Name: noText, Kind: noText})},
	})
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New(noText)
	for _, err := range []error{rebound.Transient(down), down} {
		_, _ = reboundotel.Do(t.Context(), telemetry, p, failing(3, err))
	}
	ctx, end := telemetry.Start(t.Context(), p)
	b.ForceOpen()
	_, err = rebound.DoElse(ctx, p, failing(0, nil),
		func(context.Context, error) (int, error) { return 0, down })
	end(err)
}

// Invalid UTF-8 in a name or an error does no harm. Exporters reject whole batches for it.
func TestNamesThatAreNoText(t *testing.T) {
	s := newSDK(t, reboundotel.Options{AttemptSpans: true})
	report(t, s.Telemetry)
	all := strings.Join(s.metrics(), "\n")
	for _, span := range s.spans.GetSpans() {
		all += fmt.Sprintln(span.Name, span.Status.Description)
		attributes := span.Attributes
		for _, e := range span.Events {
			attributes = append(attributes, e.Attributes...)
		}
		for _, a := range attributes {
			all += a.Value.String() + "\n"
		}
	}
	for line := range strings.Lines(all) {
		if !utf8.ValidString(line) {
			t.Errorf("got %q, want UTF-8", line)
		}
	}
	if n := strings.Count(all, "bad\uFFFD"); n < 20 {
		t.Errorf("got %d of the texts, want all:\n%s", n, all)
	}

	telemetry, handler, err := serve()
	if err != nil {
		t.Fatal(err)
	}
	report(t, telemetry)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Errorf("got status %d, %.300s, want the metrics", w.Code, w.Body)
	}
}
