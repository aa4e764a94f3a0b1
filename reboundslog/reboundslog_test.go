package reboundslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundslog"
)

var errDown = errors.New("connection refused")

// into returns a Logger that writes text without times into w.
func into(w io.Writer) *reboundslog.Logger {
	return &reboundslog.Logger{To: slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))}
}

// down makes a call of the named policy that fails after two retries.
func down(ctx context.Context, l *reboundslog.Logger, name string) error {
	p := &rebound.Policy{Name: name, Backoff: backoff.Constant(time.Second), Observe: l.Observe}
	return rebound.Run(ctx, p, func(context.Context) error { return errDown })
}

// event makes an event like the engine's.
func event(kind rebound.EventKind, name string) rebound.Event {
	e := rebound.Event{Kind: kind, Policy: name, Attempt: 1, Err: errDown}
	e.Fault = fault.Fault{Kind: fault.Transient, Err: errDown}
	switch kind {
	case rebound.Retrying:
		e.Delay = time.Second
	case rebound.GaveUp:
		e.Reason = rebound.Exhausted
	case rebound.FellBack:
		e.Err, e.Reason = nil, rebound.Exhausted
	case rebound.Succeeded:
		e.Err, e.Fault = nil, fault.Fault{}
	}
	return e
}

func TestLines(t *testing.T) {
	status := fault.Fault{Kind: fault.Overloaded, Detail: "status 503", Err: errDown}
	refused := event(rebound.GaveUp, "vision")
	refused.Attempt, refused.Fault, refused.Reason = 0, fault.Fault{}, rebound.Rejected
	busy, canceled, wrong := event(rebound.Retrying, "ocr"), event(rebound.GaveUp, "ocr"),
		event(rebound.GaveUp, "ocr")
	busy.Fault, busy.Elapsed = status, 1500*time.Millisecond
	canceled.Fault.Kind, canceled.Reason = fault.Canceled, rebound.Canceled
	wrong.Reason = rebound.Invalid
	shut, stale := refused, event(rebound.FellBack, "ocr")
	shut.Err = &rebound.Error{Cause: &breaker.OpenError{Name: "v", Forced: true}}
	stale.Err = errDown
	for _, row := range []struct {
		name  string
		event rebound.Event
		want  string
	}{
		{"success", event(rebound.Succeeded, "ocr"), ""},
		{"retry", event(rebound.Retrying, "ocr"), `level=INFO msg="rebound: retrying" policy=ocr ` +
			`attempt=1 kind=transient delay=1s elapsed=0s error="connection refused"`},
		{"retry, with a fact", busy, `level=INFO msg="rebound: retrying" policy=ocr ` +
			`attempt=1 kind=overloaded detail="status 503" delay=1s elapsed=1.5s ` +
			`error="connection refused"`},
		{"give-up", event(rebound.GaveUp, "ocr"), `level=WARN msg="rebound: gave up" policy=ocr ` +
			`attempt=1 kind=transient reason=exhausted elapsed=0s error="connection refused"`},
		{"refusal", refused, `level=WARN msg="rebound: gave up" policy=vision ` +
			`attempt=0 reason=rejected gate=gate elapsed=0s error="connection refused"`},
		{"rejected by a breaker", shut, `level=WARN msg="rebound: gave up" policy=vision ` +
			`attempt=0 reason=rejected gate="breaker v" elapsed=0s ` +
			`cause="breaker v is forced open"`},
		{"fallback", event(rebound.FellBack, "ocr"), `level=INFO msg="rebound: fell back" ` +
			`policy=ocr attempt=1 reason=exhausted elapsed=0s`},
		{"fallback that failed", stale, `level=WARN msg="rebound: fell back" ` +
			`policy=ocr attempt=1 reason=exhausted elapsed=0s error="connection refused"`},
		{"cancellation", canceled, `level=INFO msg="rebound: gave up" policy=ocr ` +
			`attempt=1 kind=canceled reason=canceled elapsed=0s error="connection refused"`},
		{"misuse", wrong, `level=ERROR msg="rebound: gave up" policy=ocr ` +
			`attempt=1 kind=transient reason=invalid elapsed=0s error="connection refused"`},
	} {
		var b bytes.Buffer
		into(&b).Observe(t.Context(), row.event)
		if got := strings.TrimSuffix(b.String(), "\n"); got != row.want {
			t.Errorf("%s: got\n%s\nwant\n%s", row.name, got, row.want)
		}
	}
}

func TestBreakerLines(t *testing.T) {
	for _, row := range []struct {
		change breaker.Change
		want   string
	}{
		{breaker.Change{Name: "ocr", To: breaker.Open, Why: "failures in a row",
			Fault: fault.Fault{Detail: "status 503"}},
			`level=WARN msg="rebound: breaker changed" breaker=ocr from=closed to=open ` +
				`why="failures in a row" detail="status 503"`},
		{breaker.Change{Name: "ocr", From: breaker.HalfOpen, Why: "probes succeeded"},
			`level=INFO msg="rebound: breaker changed" breaker=ocr from=half-open to=closed ` +
				`why="probes succeeded"`},
		{breaker.Change{Name: "ocr", To: breaker.Open, Forced: true, Why: "asked for"},
			`level=WARN msg="rebound: breaker changed" breaker=ocr from=closed to=open ` +
				`forced=true why="asked for"`},
		{breaker.Change{Name: "ocr", To: breaker.Open, Shadow: true, Why: "failure rate"},
			`level=WARN msg="rebound: breaker changed" breaker=ocr from=closed to=open ` +
				`shadow=true why="failure rate"`},
	} {
		var b bytes.Buffer
		into(&b).OnChange(row.change)
		if got := strings.TrimSuffix(b.String(), "\n"); got != row.want {
			t.Errorf("got\n%s\nwant\n%s", got, row.want)
		}
	}
}

// The engine's error is split: the other keys hold the rest.
func TestErrorAndCause(t *testing.T) {
	open := &breaker.Breaker{Name: "b", Failures: 1}
	for _, row := range []struct {
		name   string
		policy *rebound.Policy
		want   string
	}{
		{"exhausted", &rebound.Policy{Attempts: 1}, `attempt=1 kind=unknown reason=exhausted ` +
			`elapsed=0s error="connection refused"`},
		{"opened on the way", &rebound.Policy{Breaker: open, Backoff: backoff.Constant(0)},
			`attempt=1 kind=unknown reason=rejected gate="breaker b" elapsed=0s ` +
				`error="connection refused" cause="breaker`},
		{"open", &rebound.Policy{Breaker: open}, `attempt=0 reason=rejected gate="breaker b" ` +
			`elapsed=0s cause="breaker`},
	} {
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			row.policy.Observe = into(&b).Observe
			_ = rebound.Run(t.Context(), row.policy, func(context.Context) error {
				return errDown
			})
			lines := strings.Split(strings.TrimSpace(b.String()), "\n")
			if got := lines[len(lines)-1]; !strings.Contains(got, row.want) {
				t.Errorf("%s: got\n%s\nwant\n%s", row.name, got, row.want)
			}
		})
	}
}

// A hundred calls fail at once, and one 12 s later: ten lines of each kind, and the number of those
// dropped.
func TestOutageDoesNotFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := into(&b)
		for range 100 {
			l.Observe(t.Context(), event(rebound.Retrying, "ocr"))
			l.Observe(t.Context(), event(rebound.GaveUp, "ocr"))
		}
		l.Observe(t.Context(), event(rebound.GaveUp, "vision"))
		time.Sleep(12 * time.Second)
		l.Observe(t.Context(), event(rebound.GaveUp, "ocr"))
		time.Sleep(time.Minute)
		synctest.Wait()
		counts := map[string]int{}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSpace(line)
			if i := strings.Index(line, " attempt"); i >= 0 {
				line = line[:i]
			}
			counts[line]++
		}
		for line, want := range map[string]int{
			`level=INFO msg="rebound: retrying" policy=ocr`:   10,
			`level=WARN msg="rebound: gave up" policy=ocr`:    11,
			`level=WARN msg="rebound: gave up" policy=vision`: 1,
			`level=INFO msg="rebound: lines dropped" policy=ocr message="rebound: retrying" ` +
				`dropped=90 period=10s`: 1,
			`level=WARN msg="rebound: lines dropped" policy=ocr message="rebound: gave up" ` +
				`dropped=90 period=10s`: 1,
		} {
			if counts[line] != want {
				t.Errorf("%d lines %q, want %d", counts[line], line, want)
			}
			delete(counts, line)
		}
		if len(counts) > 0 {
			t.Errorf("more lines: %v", counts)
		}
	})
}

// One call a second: 10 lines in each period of 10 s, so that nothing is ever dropped.
func TestSteadyFailuresAreAllWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := into(&b)
		for range 100 {
			l.Observe(t.Context(), event(rebound.GaveUp, "ocr"))
			time.Sleep(time.Second)
		}
		if got := strings.Count(b.String(), "\n"); got != 100 {
			t.Errorf("%d lines, want 100:\n%s", got, b.String())
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			lines int
			every time.Duration
			want  int
		}{{0, 0, 10}, {3, 0, 3}, {-1, 0, 50}, {1, time.Second, 1}} {
			var b bytes.Buffer
			l := into(&b)
			l.Lines, l.Every = row.lines, row.every
			for range 50 {
				l.Observe(t.Context(), event(rebound.Retrying, "ocr"))
			}
			if got := strings.Count(b.String(), "\n"); got != row.want {
				t.Errorf("Lines %d: %d lines, want %d", row.lines, got, row.want)
			}
			l.Flush()
			want := fmt.Sprintf("dropped=%d ", 50-row.want)
			if got := b.String(); row.lines >= 0 && !strings.Contains(got, want) {
				t.Errorf("Lines %d: want %q after Flush, got\n%s", row.lines, want, got)
			}
			length := b.Len()
			l.Flush()
			time.Sleep(time.Minute)
			synctest.Wait()
			if b.Len() != length {
				t.Errorf("Lines %d: dropped lines are reported twice:\n%s", row.lines, b.String())
			}
		}
	})
}

// Generated names for single calls fill neither the memory nor the log.
func TestNamesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := into(&b)
		for i := range 5000 {
			l.Observe(t.Context(), event(rebound.GaveUp, fmt.Sprint("call ", i)))
		}
		if got, want := strings.Count(b.String(), "\n"), 1010; got != want {
			t.Errorf("%d lines, want %d", got, want)
		}
		l.Flush()
		if want := `policy=(others) message="rebound: gave up" dropped=3990`; !strings.Contains(
			b.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	})
}

// Concurrent lines of many goroutines are either written or counted.
func TestNothingGetsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b syncBuffer
		l := &reboundslog.Logger{To: slog.New(slog.NewJSONHandler(&b, nil)), Every: time.Second}
		const goroutines, each = 8, 300
		var all sync.WaitGroup
		for i := range goroutines {
			all.Go(func() {
				for n := range each {
					l.Observe(t.Context(), event(rebound.Retrying, "ocr"))
					time.Sleep(time.Duration(n*i%40) * time.Millisecond)
				}
			})
		}
		all.Wait()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		written, dropped := 0, 0
		for line := range strings.Lines(b.String()) {
			var r struct{ Dropped int }
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			if dropped += r.Dropped; r.Dropped == 0 {
				written++
			}
		}
		if written+dropped != goroutines*each || dropped == 0 {
			t.Errorf("%d written and %d dropped, want %d in all", written, dropped, goroutines*each)
		}
	})
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// handler keeps the contexts it is given. Of all levels it has Warn and louder.
type handler struct {
	slog.Handler
	ctxs []context.Context
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	h.ctxs = append(h.ctxs, ctx)
	return nil
}

type mine struct{} // the key of a value in the caller's context

// The handler gets the caller's context, which may contain a trace. Lines below the handler's level
// do not count toward the limit.
func TestHandlerIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(handler)
		l := &reboundslog.Logger{To: slog.New(h), Lines: 1}
		ctx := context.WithValue(t.Context(), mine{}, true)
		for range 3 {
			l.Observe(ctx, event(rebound.Retrying, "ocr"))
			l.OnChange(breaker.Change{To: breaker.HalfOpen})
		}
		_ = down(ctx, l, "ocr")
		l.Flush()
		if want := []context.Context{ctx}; !slices.Equal(h.ctxs, want) {
			t.Errorf("the handler was given %v, want the caller's context once", h.ctxs)
		}
	})
}

func TestLevelIsTheUsers(t *testing.T) {
	var b bytes.Buffer
	l := into(&b)
	l.Level = func(e rebound.Event) slog.Level { return slog.LevelDebug }
	l.Observe(t.Context(), event(rebound.GaveUp, "ocr"))
	if got := b.String(); !strings.HasPrefix(got, "level=DEBUG ") {
		t.Errorf("got %q, want level DEBUG", got)
	}
}

func TestZeroLoggerWritesToTheDefault(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	var b bytes.Buffer
	var l reboundslog.Logger
	slog.SetDefault(into(&b).To)
	l.Observe(t.Context(), event(rebound.GaveUp, "ocr"))
	l.OnChange(breaker.Change{Name: "ocr", To: breaker.Open})
	if got := strings.Count(b.String(), "\n"); got != 2 {
		t.Errorf("%d lines, want 2:\n%s", got, b.String())
	}
}

func TestSuccessAllocatesNothing(t *testing.T) {
	var l reboundslog.Logger
	p := &rebound.Policy{Name: "ocr", Observe: l.Observe}
	ok := func(context.Context) (int, error) { return 1, nil }
	if got := testing.AllocsPerRun(100, func() {
		_, _ = rebound.Do(t.Context(), p, ok)
	}); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

// BenchmarkObserve measures the cost of observing a call.
func BenchmarkObserve(b *testing.B) {
	l := &reboundslog.Logger{To: slog.New(slog.NewJSONHandler(io.Discard, nil))}
	for _, row := range []struct {
		name string
		kind rebound.EventKind
		max  int
	}{
		{"success", rebound.Succeeded, 0}, {"retry", rebound.Retrying, -1},
		{"dropped", rebound.Retrying, 1},
	} {
		b.Run(row.name, func(b *testing.B) {
			l := &reboundslog.Logger{To: l.To, Lines: row.max, Every: time.Hour}
			e := event(row.kind, "ocr")
			b.ReportAllocs()
			for b.Loop() {
				l.Observe(b.Context(), e)
			}
		})
	}
}
