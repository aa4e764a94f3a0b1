package reboundotel_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundotel"
	"github.com/rebound-go/rebound/stats"
)

func TestCallMetrics(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	ctx := t.Context()
	p := s.policy("ocr")
	for _, fails := range []int{0, 0, 2, 9} {
		_, _ = rebound.Do(ctx, p, failing(fails, rebound.Transient(errDown)))
	}
	_, _ = rebound.Do(ctx, p, failing(1, rebound.RetryAfter(errDown, 0)))
	_, _ = rebound.Do(ctx, p, failing(1, rebound.Permanent(errDown)))
	for _, err := range []error{nil, nil, rebound.Permanent(errDown)} {
		_, _ = rebound.DoElse(ctx, p, failing(1, rebound.Permanent(errDown)),
			func(context.Context, error) (int, error) { return 0, err })
	}
	p = s.policy("vision")
	p.Breaker = &breaker.Breaker{Name: "shut"}
	p.Breaker.ForceOpen()
	_, _ = rebound.Do(ctx, p, failing(0, nil))
	p = s.policy("")
	p.Classify = func(err error) fault.Fault { return fault.Fault{Kind: fault.None, Err: err} }
	_, _ = rebound.Do(ctx, p, failing(1, errDown))
	want(t, s.metrics(),
		"rebound.call.attempts{outcome=failure policy=ocr} 5, 7 in all",
		"rebound.call.attempts{outcome=failure policy=vision} 1, 0 in all",
		"rebound.call.attempts{outcome=failure policy=} 1, 1 in all",
		"rebound.call.attempts{outcome=success policy=ocr} 4, 7 in all",
		"rebound.call.duration{error.type=not_retryable outcome=failure policy= "+
			"reason=not_retryable} 1",
		"rebound.call.duration{error.type=permanent outcome=failure policy=ocr "+
			"reason=not_retryable} 4",
		"rebound.call.duration{error.type=rejected outcome=failure policy=vision "+
			"reason=rejected} 1",
		"rebound.call.duration{error.type=transient outcome=failure policy=ocr "+
			"reason=exhausted} 1",
		"rebound.call.duration{outcome=success policy=ocr} 4",
		"rebound.call.fallbacks{outcome=failure policy=ocr} 1",
		"rebound.call.fallbacks{outcome=success policy=ocr} 2",
		"rebound.call.rejections{gate.kind=breaker gate.name=shut policy=vision} 1",
		"rebound.retry.delay{error.type=rate_limited policy=ocr} 1",
		"rebound.retry.delay{error.type=transient policy=ocr} 4",
	)
}

// Attempts per call is one number: three calls that a breaker rejects and one of two attempts are
// half an attempt per call, here as in the counts of package stats.
func TestAttemptsPerCall(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	var counts stats.Recorder
	p := s.policy("ocr")
	p.Observe = rebound.Observers(s.Observe, counts.Observe)
	_, _ = rebound.Do(t.Context(), p, failing(1, errDown))
	p.Breaker = new(breaker.Breaker)
	p.Breaker.ForceOpen()
	for range 3 {
		_, _ = rebound.Do(t.Context(), p, failing(0, nil))
	}
	var lines []string
	for _, line := range s.metrics() {
		if strings.HasPrefix(line, "rebound.call.attempts") {
			lines = append(lines, line)
		}
	}
	want(t, lines,
		"rebound.call.attempts{outcome=failure policy=ocr} 3, 0 in all",
		"rebound.call.attempts{outcome=success policy=ocr} 1, 2 in all",
	)
	total := counts.Snapshot().Total
	if total.PerCall != 0.5 || total.PerAttempted != 2 || total.Retries != 1 {
		t.Errorf("stats has %v attempts per call, %v per attempted call, %d retries; want 0.5, 2, 1",
			total.PerCall, total.PerAttempted, total.Retries)
	}
}

func TestGaugesAndTransitions(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	ocr, vision := s.policy("ocr"), s.policy("vision")
	ocr.Budget = &budget.Budget{Capacity: 20, Refill: 1e-9}
	ocr.Breaker = &breaker.Breaker{Name: "ocr", Failures: 1, OnChange: s.OnChange}
	vision.Budget = budget.Unlimited
	extra := &breaker.Breaker{Name: "extra", OnChange: s.OnChange}
	if err := s.Watch(reboundotel.Objects{
		Policies: []*rebound.Policy{ocr, vision, s.policy("own"), nil},
		Breakers: []reboundotel.Breaker{extra},
	}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		ocr.Budget.Take()
	}
	_, _ = ocr.Breaker.Enter(t.Context())
	ocr.Breaker.ForceOpen()
	ocr.Breaker.Reset()
	ocr.Breaker.ForceOpen()
	_, _ = ocr.Breaker.Enter(t.Context())
	extra.ForceHalfOpen()
	want(t, s.metrics(),
		"rebound.breaker.rejected{breaker=extra} 0",
		"rebound.breaker.rejected{breaker=ocr} 1",
		"rebound.breaker.state{breaker=extra state=closed} 0",
		"rebound.breaker.state{breaker=extra state=half-open} 1",
		"rebound.breaker.state{breaker=extra state=open} 0",
		"rebound.breaker.state{breaker=ocr state=closed} 0",
		"rebound.breaker.state{breaker=ocr state=half-open} 0",
		"rebound.breaker.state{breaker=ocr state=open} 1",
		"rebound.breaker.transitions{breaker=extra from=closed to=half-open} 1",
		"rebound.breaker.transitions{breaker=ocr from=closed to=open} 2",
		"rebound.breaker.transitions{breaker=ocr from=open to=closed} 1",
		"rebound.budget.capacity{policy=ocr} 20",
		"rebound.budget.capacity{policy=own} 10",
		"rebound.budget.level{policy=ocr} 15",
		"rebound.budget.level{policy=own} 10",
	)
}

// Generated names for single calls do not become one time series each.
func TestCardinalityIsBounded(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	for i := range 1000 {
		name := fmt.Sprint("call ", i)
		s.Observe(t.Context(), rebound.Event{Kind: rebound.Succeeded, Policy: name, Attempt: 1})
		s.Observe(t.Context(), rebound.Event{Kind: rebound.GaveUp, Policy: "ocr", Attempt: 1,
			Reason: rebound.Reason(name), Fault: fault.Fault{Kind: fault.Transient}})
		s.OnChange(breaker.Change{Name: name, To: breaker.Open})
	}
	counts, others := map[string]int{}, 0
	for _, line := range s.metrics() {
		name, rest, _ := strings.Cut(line, "{")
		counts[name]++
		if strings.Contains(rest, "=_OTHER") {
			others++
		}
	}
	for name, most := range map[string]int{
		"rebound.call.duration": 402, "rebound.call.attempts": 202,
		"rebound.breaker.transitions": 201,
	} {
		if n := counts[name]; n > most || n < 200 {
			t.Errorf("%s has %d time series, want 200 to %d", name, n, most)
		}
	}
	if others != 3 {
		t.Errorf("%d time series for the others, want one for each metric", others)
	}
}

// The success path allocates nothing, with a real SDK.
func TestSuccessAllocatesNothing(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	p, ctx := s.policy("ocr"), context.Background()
	ok := func(context.Context) (int, error) { return 1, nil }
	if got := testing.AllocsPerRun(100, func() { _, _ = rebound.Do(ctx, p, ok) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

// Backends distinguish instrumentations by scope, version and the conventions they follow.
func TestScope(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	_, _ = reboundotel.Do(t.Context(), s.Telemetry, s.policy("ocr"), failing(0, nil))
	var all metricdata.ResourceMetrics
	if err := s.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, got := range []instrumentation.Scope{
		all.ScopeMetrics[0].Scope, s.spans.GetSpans()[0].InstrumentationScope,
	} {
		if got.Name != "github.com/rebound-go/rebound/reboundotel" || got.SchemaURL == "" {
			t.Errorf("scope %+v", got)
		}
	}
}
