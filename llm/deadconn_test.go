package llm_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/llm"
	"github.com/rebound-go/rebound/reboundhttp"
)

// line is a connection whose peer can stop: it stays open, but passes no data.
type line struct {
	net.Conn
	silent *atomic.Bool
}

func (l line) Write(p []byte) (int, error) {
	if l.silent.Load() {
		return len(p), nil
	}
	return l.Conn.Write(p)
}

func (l line) Read(p []byte) (int, error) {
	for {
		n, err := l.Conn.Read(p)
		if err != nil || !l.silent.Load() {
			return n, err
		}
	}
}

// lines is the Base of a client whose connections all stop at once.
type lines struct {
	http.RoundTripper
	mu    sync.Mutex
	lines []line
}

func (l *lines) silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.lines {
		one.silent.Store(true)
	}
}

// provider is an HTTP/2 server. The first request with a header Cut stops the connection where that
// header names: before the response's header, before its output, or after that.
func provider(t *testing.T) (url string, base *lines) {
	t.Helper()
	base = &lines{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		begin := map[string]string{
			"output": role + "\n\n", "end": role + "\n\n" + hello + "\n\n",
		}[r.Header.Get("Cut")]
		if r.Header.Get("Cut") != "" && base.count() == 1 {
			if begin != "" {
				_, _ = io.WriteString(w, begin)
				w.(http.Flusher).Flush()
				<-time.After(300 * time.Millisecond) // it is on its way
			}
			base.silence()
		}
		_, _ = io.WriteString(w, strings.Join([]string{role, hello, done, ""}, "\n\n"))
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	transport := srv.Client().Transport.(*http.Transport)
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		if err != nil {
			return nil, err
		}
		base.mu.Lock()
		defer base.mu.Unlock()
		base.lines = append(base.lines, line{conn, new(atomic.Bool)})
		return base.lines[len(base.lines)-1], nil
	}
	base.RoundTripper = transport
	t.Cleanup(transport.CloseIdleConnections)
	return srv.URL, base
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// After a timeout on an HTTP/2 connection whose peer is silent, the next attempt and the next call
// go out on another.
func TestDeadConnectionIsLeft(t *testing.T) {
	const soon, noticed = 2 * time.Second, 400 * time.Millisecond
	for _, row := range []struct {
		name, cut string
		set       func(*llm.Transport)
		attempts  int // 0 = the stream breaks
	}{
		{"FirstOutputTimeout", "header", func(t *llm.Transport) { t.FirstOutputTimeout = soon }, 2},
		{"FirstOutputTimeout", "output", func(t *llm.Transport) { t.FirstOutputTimeout = soon }, 2},
		{"HeaderTimeout", "header", func(t *llm.Transport) { t.HeaderTimeout = soon }, 2},
		{"IdleTimeout", "output", func(t *llm.Transport) { t.IdleTimeout = soon }, 2},
		{"IdleTimeout", "end", func(t *llm.Transport) { t.IdleTimeout = soon }, 0},
		{"AttemptTimeout", "header", func(t *llm.Transport) { t.Policy.AttemptTimeout = soon }, 2},
		{"AttemptTimeout", "end", func(t *llm.Transport) { t.Policy.AttemptTimeout = soon }, 0},
		{"ResponseHeaderTimeout", "header", func(t *llm.Transport) {
			t.Base.(*lines).RoundTripper.(*http.Transport).ResponseHeaderTimeout = soon
		}, 2},
	} {
		t.Run(row.name+" "+row.cut, func(t *testing.T) {
			t.Parallel()
			url, base := provider(t)
			tr := &llm.Transport{Base: base, Policy: &rebound.Policy{
				Attempts: 2, Budget: budget.Unlimited, Backoff: backoff.Constant(noticed),
			}}
			row.set(tr)
			for i, cut := range []string{"", row.cut, ""} {
				<-time.After(noticed) // net/http takes a moment to notice that a connection is closed
				want := []int{1, row.attempts, 1}[i]
				if got, err := attemptsOf(t, tr, url, cut); got != want || (err == nil) != (want > 0) {
					t.Errorf("request %d: %d attempts, %v, want %d", i+1, got, err, want)
				}
			}
			if n := base.count(); n != 2 {
				t.Errorf("%d connections, want 2", n)
			}
		})
	}
}

// attemptsOf returns how many attempts a stream took, or 0 and what broke it.
func attemptsOf(t *testing.T, tr *llm.Transport, url, cut string) (int, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", url+chatPath,
		strings.NewReader(`{"stream":true}`))
	if err != nil {
		return 0, err
	}
	if cut != "" {
		req.Header.Set("Cut", cut)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		return 0, err
	}
	return reboundhttp.CallOf(resp).Attempts, nil
}
