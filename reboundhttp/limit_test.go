package reboundhttp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
)

// watchman is a gate that rejects with err, and records the outcomes of admitted calls.
type watchman struct {
	err      error
	outcomes []gate.Outcome
	inside   int
}

func (w *watchman) Enter(ctx context.Context) (gate.Pass, error) {
	if w.err != nil {
		return gate.Pass{}, w.err
	}
	w.inside++
	return gate.Pass{A: 7}, nil
}

func (w *watchman) Leave(p gate.Pass, o gate.Outcome) {
	if p.A == 7 {
		w.inside--
	}
	w.outcomes = append(w.outcomes, o)
}

// slowDown is a rejection with a delay.
type slowDown struct {
	kind  fault.Kind
	after time.Duration
}

func (e slowDown) Error() string { return "a secret of the server's" }
func (e slowDown) DescribeFault() fault.Fault {
	return fault.Fault{Kind: e.kind, Sent: fault.NotSent, After: e.after, Err: e}
}

func TestLimitAnswersRejections(t *testing.T) {
	open := &breaker.Breaker{Failures: 1, Cooldown: 30 * time.Second}
	pass, _ := open.Enter(t.Context())
	open.Leave(pass, gate.Outcome{Fault: fault.Fault{Kind: fault.Transient}})
	_, openError := open.Enter(t.Context())
	for _, row := range []struct {
		err    error
		status int
		after  string
	}{
		{slowDown{fault.RateLimited, 1500 * time.Millisecond}, 429, "2"},
		{slowDown{fault.RateLimited, 2 * time.Second}, 429, "2"},
		{slowDown{fault.RateLimited, 1}, 429, "1"},
		{slowDown{fault.Overloaded, 2*time.Second + 1}, 503, "3"},
		{slowDown{fault.Overloaded, 0}, 503, "1"},
		{openError, 503, "30"},
		{errors.New("a gate's own"), 503, "1"},
		{context.Canceled, 503, "1"},
	} {
		w := httptest.NewRecorder()
		called := false
		h := Limit(&watchman{err: row.err}, http.HandlerFunc(
			func(http.ResponseWriter, *http.Request) { called = true }))
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		got := w.Result()
		if got.StatusCode != row.status || got.Header.Get("Retry-After") != row.after || called {
			t.Errorf("%v: status %d, Retry-After %q, handler called: %t; want %d, %q, no call",
				row.err, got.StatusCode, got.Header.Get("Retry-After"), called, row.status, row.after)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("the client gets the error's text: %s", w.Body)
		}
	}
}

// Our client gets the same kind and the same delay, in whole seconds, as a local caller of the
// limit.
func TestLimitIsReadByTransport(t *testing.T) {
	r := &limit.Rate{N: 1, Per: 90 * time.Second}
	_, _ = r.Enter(t.Context())
	c := &limit.Concurrency{Max: 1}
	_, _ = c.Enter(t.Context())
	for _, g := range []gate.Gate{r, c} {
		server := httptest.NewServer(Limit(g, http.NotFoundHandler()))
		defer server.Close()
		client := NewClient(&rebound.Policy{Attempts: 1})
		resp, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		_, rejection := g.Enter(t.Context())
		want, got := fault.Of(rejection), Classify(resp, nil)
		wait := max(time.Duration(wholeSeconds(want.After))*time.Second, time.Second)
		if got.Kind != want.Kind || got.After != wait {
			t.Errorf("%T: the client finds %v after %v, want %v after %v", g, got.Kind, got.After,
				want.Kind, wait)
		}
	}
}

func TestLimitOutcomes(t *testing.T) {
	for name, row := range map[string]struct {
		serve http.HandlerFunc
		want  gate.Result
		kind  fault.Kind
	}{
		"nothing written": {func(http.ResponseWriter, *http.Request) {}, gate.OK, 0},
		"body": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "fine")
			w.WriteHeader(500) // too late
		}, gate.OK, 0},
		"404":       {answering(404), gate.OK, 0},
		"429":       {answering(429), gate.OK, 0},
		"500":       {answering(500), gate.Failed, fault.Transient},
		"501":       {answering(501), gate.Failed, fault.Permanent},
		"503":       {answering(503), gate.Failed, fault.Overloaded},
		"interim":   {answering(103, 500), gate.Failed, fault.Transient},
		"two":       {answering(503, 200), gate.Failed, fault.Overloaded},
		"switching": {answering(101, 500), gate.OK, 0},
		"copied": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("fine"))
			w.WriteHeader(500)
		}, gate.OK, 0},
		"flushed": {func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			w.WriteHeader(500)
		}, gate.OK, 0},
		"panic":  {doing(func() { panic("a bug") }), gate.Failed, 0},
		"abort":  {doing(func() { panic(http.ErrAbortHandler) }), gate.Failed, 0},
		"Goexit": {doing(runtime.Goexit), gate.Failed, 0},
	} {
		g := &watchman{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }()
			Limit(g, row.serve).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
		<-done
		if len(g.outcomes) != 1 || g.inside != 0 {
			t.Errorf("%s: %d outcomes, %d inside, want 1 and 0", name, len(g.outcomes), g.inside)
			continue
		}
		if o := g.outcomes[0]; o.Result != row.want || o.Fault.Kind != row.kind {
			t.Errorf("%s: %+v, want result %d of kind %v", name, o, row.want, row.kind)
		}
	}
}

func doing(f func()) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { f() }
}

func answering(codes ...int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, code := range codes {
			w.WriteHeader(code)
		}
	}
}

func TestLimitClientGone(t *testing.T) {
	for name, row := range map[string]struct {
		cause error
		want  fault.Kind
	}{
		"gone":     {context.Canceled, fault.Canceled},
		"deadline": {context.DeadlineExceeded, fault.Transient},
	} {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-1))
		if row.cause == context.Canceled {
			ctx, cancel = context.WithCancel(t.Context())
		}
		g := &watchman{}
		h := Limit(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			cancel()
			w.WriteHeader(500)
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		if o := g.outcomes[0]; o.Result != gate.Failed || o.Fault.Kind != row.want {
			t.Errorf("%s: %+v, want a failure of kind %v", name, o, row.want)
		}
		cancel()
	}
}

// A request waits in the gate only as long as its client does.
func TestLimitWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &limit.Concurrency{Max: 1, Queue: 1}
		pass, _ := c.Enter(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		Limit(c, http.NotFoundHandler()).ServeHTTP(w,
			httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		c.Leave(pass, gate.Outcome{})
		if s := c.Snapshot(); w.Code != 503 || s.InFlight+s.Waiting != 0 {
			t.Errorf("status %d, %+v; want 503 and an empty limit", w.Code, s)
		}
	})
}

// Through the limit, handlers can use all methods of net/http's writers.
func TestLimitPassesThrough(t *testing.T) {
	g, done := &watchman{}, make(chan struct{})
	h := Limit(g, http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
				t.Errorf("SetWriteDeadline: %v", err)
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("Flush: %v", err)
			}
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Errorf("Hijack: %v", err)
				return
			}
			_, _ = io.WriteString(conn, "X")
			conn.Close()
		}))
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			h.ServeHTTP(w, r)
		}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := bufio.NewReader(resp.Body).ReadByte(); err == nil {
		t.Error("a body from a connection that was taken over")
	}
	<-done
	if o := g.outcomes; len(o) != 1 || o[0].Result != gate.OK {
		t.Errorf("%+v, want one success", o)
	}

	// For a writer that cannot flush, Flush returns an error.
	w := &watchedWriter{ResponseWriter: plainWriter{httptest.NewRecorder()}}
	if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) ||
		w.status != 0 {
		t.Errorf("%v and status %d, want ErrNotSupported", err, w.status)
	}
	if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("%v, want ErrNotSupported", err)
	}
}

// plainWriter has no other methods than those of an http.ResponseWriter.
type plainWriter struct{ http.ResponseWriter }
