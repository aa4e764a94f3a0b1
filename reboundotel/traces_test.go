package reboundotel_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundotel"
)

// tree prints the spans in the order in which they ended: name, parent, status, attributes,
// and events.
func (s *sdk) tree() (lines []string) {
	ended := s.spans.GetSpans()
	names := map[trace.SpanID]string{}
	for _, span := range ended {
		names[span.SpanContext.SpanID()] = span.Name
	}
	for _, span := range ended {
		lines = append(lines, describe(span, names[span.Parent.SpanID()]))
		for _, e := range span.Events {
			lines = append(lines, fmt.Sprintf("  %s {%s}", e.Name, encoded(e.Attributes)))
		}
	}
	return lines
}

func describe(span tracetest.SpanStub, parent string) string {
	line := span.Name
	if parent != "" {
		line += " in " + parent
	}
	line += fmt.Sprintf(" {%s}", encoded(span.Attributes))
	if d := span.Status.Description; d != "" {
		line += " " + span.Status.Code.String() + ": " + strings.Split(d, " after")[0]
	}
	return line
}

func TestCallSpans(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	_, _ = reboundotel.Do(t.Context(), s.Telemetry, s.policy("ocr"), failing(0, nil))
	_, _ = reboundotel.Do(t.Context(), s.Telemetry, s.policy("ocr"),
		failing(1, rebound.Transient(errDown)))
	_ = reboundotel.Run(t.Context(), s.Telemetry, nil, func(context.Context) error {
		return rebound.Permanent(errDown)
	})
	want(t, s.tree(),
		"ocr {policy=ocr}",
		"ocr {policy=ocr}",
		"  rebound.retry {policy=ocr attempt=1 retry_delay=0 error.type=transient "+
			"error.message=down for maintenance}",
		"rebound {policy= attempts=1 reason=not_retryable error.type=permanent} "+
			"Error: rebound: attempt 1 of 3: down for maintenance (not retryable)",
	)
}

func TestAttemptSpans(t *testing.T) {
	s := newSDK(t, reboundotel.Options{AttemptSpans: true, ResendCount: true})
	_, _ = reboundotel.Do(t.Context(), s.Telemetry, s.policy("ocr"),
		failing(9, rebound.RetryAfter(errDown, 0)))
	event := func(n int) string {
		return fmt.Sprintf("  rebound.retry {policy=ocr attempt=%d retry_delay=0 "+
			"error.type=rate_limited error.message=down for maintenance}", n)
	}
	const failed = " error.type=rate_limited} Error: down for maintenance"
	want(t, s.tree(),
		"ocr attempt in ocr {policy=ocr attempt=1"+failed,
		"ocr attempt in ocr {policy=ocr attempt=2 http.request.resend_count=1"+failed,
		"ocr attempt in ocr {policy=ocr attempt=3 http.request.resend_count=2"+failed,
		"ocr {policy=ocr attempts=3 reason=exhausted error.type=rate_limited} "+
			"Error: rebound: ocr: attempt 3 of 3: down for maintenance (exhausted",
		event(1), event(2),
	)
}

// A call by another entry point gets its span from Start, and those of its attempts from Attempt.
// Concurrent calls may use the same function.
func TestStart(t *testing.T) {
	s := newSDK(t, reboundotel.Options{AttemptSpans: true})
	p := s.policy("ocr")
	fn := reboundotel.Attempt(s.Telemetry, func(context.Context) (int, error) { return 0, errDown })
	for range 2 {
		ctx, end := s.Start(t.Context(), p)
		v, err := rebound.DoElse(ctx, p, fn,
			func(context.Context, error) (int, error) { return 42, nil })
		if end(err); v != 42 || err != nil {
			t.Errorf("got %d, %v, want the fallback's 42", v, err)
		}
	}
	lines := s.tree()
	if len(lines) != 2*(3+1+3) || lines[0] != lines[7] ||
		lines[6] != "  rebound.fallback {policy=ocr outcome=success}" ||
		lines[7] != "ocr attempt in ocr {policy=ocr attempt=1 error.type=unknown} "+
			"Error: down for maintenance" {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
}

// Without a call's span, attempts have spans, and events go to the current span.
func TestWithoutCallSpan(t *testing.T) {
	s := newSDK(t, reboundotel.Options{AttemptSpans: true})
	fn := reboundotel.Attempt(s.Telemetry, failing(1, errDown))
	_, _ = rebound.Do(t.Context(), s.policy("ocr"), fn)
	want(t, s.tree(),
		"attempt {error.type=unknown} Error: down for maintenance",
		"attempt {}",
	)
}

// Requests of an attempt carry the attempt's span, so the server's span is its child.
func TestContextIsPropagated(t *testing.T) {
	for _, attempts := range []bool{false, true} {
		s := newSDK(t, reboundotel.Options{AttemptSpans: attempts})
		var parents []trace.SpanID
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
			parents = append(parents, trace.SpanContextFromContext(ctx).SpanID())
		}))
		_ = reboundotel.Run(t.Context(), s.Telemetry, s.policy("http"), func(ctx context.Context) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
			if err != nil {
				return err
			}
			propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
			resp, err := server.Client().Do(r)
			if err != nil {
				return err
			}
			_ = resp.Body.Close()
			if len(parents) < 2 {
				return errDown
			}
			return nil
		})
		server.Close()
		spans := s.spans.GetSpans() // attempts first, the call last
		for i, parent := range parents {
			span := spans[len(spans)-1]
			if attempts {
				span = spans[i]
			}
			if len(parents) != 2 || parent != span.SpanContext.SpanID() {
				t.Errorf("request %d of %d has the parent %v, want %v, which is %q",
					i+1, len(parents), parent, span.SpanContext.SpanID(), span.Name)
			}
		}
	}
}

// A panic ends all spans, and continues.
func TestPanicEndsSpans(t *testing.T) {
	s := newSDK(t, reboundotel.Options{AttemptSpans: true})
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v, want boom", r)
			}
		}()
		_ = reboundotel.Run(t.Context(), s.Telemetry, s.policy("ocr"), func(context.Context) error {
			panic("boom")
		})
	}()
	const died = " Error: the call did not return: a panic, or runtime.Goexit"
	want(t, s.tree(),
		"ocr attempt in ocr {policy=ocr attempt=1 error.type=unknown}"+died,
		"ocr {policy=ocr error.type=unknown}"+died,
	)
}

// Do returns what rebound.Do returns.
func TestDoReturnsValueAndError(t *testing.T) {
	s := newSDK(t, reboundotel.Options{})
	v, err := reboundotel.Do(t.Context(), s.Telemetry, s.policy("ocr"), failing(9, errDown))
	if v != 3 || !errors.Is(err, rebound.Exhausted) || !errors.Is(err, errDown) {
		t.Errorf("got %d, %v; want the last value, 3, and an error that is exhausted", v, err)
	}
}
