package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/strict"
	"github.com/rebound-go/rebound/llm"
)

const chat = "/v1/chat/completions"

// quick is the default policy with short delays.
func quick() *rebound.Policy {
	p := llm.NewPolicy()
	p.Backoff, p.Throttled = backoff.Constant(time.Millisecond), backoff.Constant(time.Millisecond)
	return p
}

// running is a proxy that serves, in front of an API.
type running struct {
	*Proxy
	url  string
	log  *bytes.Buffer
	stop func() error // drains
}

func start(t testing.TB, api http.Handler, change func(*Options)) *running {
	t.Helper()
	up := httptest.NewServer(api)
	t.Cleanup(up.Close)
	target, _ := url.Parse(up.URL)
	r := &running{log: &bytes.Buffer{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := strict.Hosts(l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Routes: []Route{{Target: target, Policy: quick}}, Hosts: hosts,
		Log: slog.New(slog.NewTextHandler(&locked{w: r.log}, nil))}
	if change != nil {
		change(&o)
	}
	if r.Proxy, err = New(o); err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, l, 5*time.Second) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// locked is a writer for several goroutines.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (r *running) post(t *testing.T, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp, string(text)
}

// script answers with its statuses in turn, the last one for ever.
func script(calls *atomic.Int64, statuses ...int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n := int(calls.Add(1))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(statuses[min(n, len(statuses))-1])
		_, _ = fmt.Fprintf(w, `{"n": %d}`, n)
	})
}

func TestRetries(t *testing.T) {
	for _, row := range []struct {
		name            string
		path            string
		statuses        []int
		header          []string
		status, calls   int
		attempts, stops string
	}{
		{"good", chat, []int{200}, nil, 200, 1, "1", ""},
		{"passes", chat, []int{503, 500, 200}, nil, 200, 3, "3", ""},
		{"stays", chat, []int{503}, nil, 503, 5, "5", "exhausted"},
		{"permanent", chat, []int{400}, nil, 400, 1, "1", "not_retryable"},
		{"not idempotent", "/v1/files", []int{503}, nil, 503, 1, "1", "not_idempotent"},
		{"a key", "/v1/files", []int{503, 200}, []string{"Idempotency-Key", "k"}, 200, 2, "2", ""},
		{"the SDK's retry", chat, []int{503}, []string{"X-Stainless-Retry-Count", "1"}, 503, 1, "1",
			"exhausted"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var calls atomic.Int64
			r := start(t, script(&calls, row.statuses...), nil)
			resp, _ := r.post(t, row.path, `{"model": "m"}`, row.header...)
			h := resp.Header
			if resp.StatusCode != row.status || int(calls.Load()) != row.calls ||
				h.Get("Rebound-Attempts") != row.attempts || h.Get("Rebound-Stopped") != row.stops {
				t.Errorf("got status %d, %d calls, %v; want %d, %d, %s, %q", resp.StatusCode,
					calls.Load(), h, row.status, row.calls, row.attempts, row.stops)
			}
			worth := row.stops == "" || row.stops == "not_idempotent"
			if should := h.Get("X-Should-Retry"); worth != (should == "") {
				t.Errorf("X-Should-Retry is %q", should)
			}
		})
	}
}

// Requests that the proxy must not send on.
func TestRefused(t *testing.T) {
	var calls atomic.Int64
	r := start(t, script(&calls, 200), func(o *Options) { o.MaxBody = 100 })
	port := r.url[strings.LastIndexByte(r.url, ':'):]
	for _, row := range []struct {
		name   string
		header []string
		body   string
		status int
	}{
		{"another host", []string{"Host", "evil.example"}, "", 421},
		{"another host with our port", []string{"Host", "evil.example" + port}, "", 421},
		{"another port", []string{"Host", "127.0.0.1:1"}, "", 421},
		{"a name that begins as ours", []string{"Host", "localhost.evil.example" + port}, "", 421},
		{"a page", []string{"Origin", "https://evil.example"}, "", 403},
		{"a file's page", []string{"Origin", "null"}, "", 403},
		{"a page without origin", []string{"Sec-Fetch-Site", "cross-site"}, "", 403},
		{"an upgrade", []string{"Connection", "Upgrade", "Upgrade", "websocket"}, "", 501},
		{"a long body", nil, strings.Repeat("x", 101), 413},
	} {
		resp, body := r.post(t, chat, row.body, row.header...)
		if resp.StatusCode != row.status || !strings.Contains(body, `"rebound_`) {
			t.Errorf("%s: got status %d, %s; want %d", row.name, resp.StatusCode, body, row.status)
		}
	}
	for _, host := range []string{"localhost" + port, "127.0.0.1" + port, "[::1]" + port} {
		if resp, _ := r.post(t, chat, "{}", "Host", host); resp.StatusCode != 200 {
			t.Errorf("host %s: got status %d", host, resp.StatusCode)
		}
	}
	if calls.Load() != 3 {
		t.Errorf("%d calls reached the API, want 3", calls.Load())
	}
}

// A proxy does not lead to other hosts.
func TestNoForwardProxy(t *testing.T) {
	var calls atomic.Int64
	r := start(t, script(&calls, 200), nil)
	addr := strings.TrimPrefix(r.url, "http://")
	for _, head := range []string{
		"CONNECT evil.example:443 HTTP/1.1\r\nHost: " + addr,
		"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example",
		"GET http://evil.example/ HTTP/1.1\r\nHost: " + addr,
		"GET http://" + addr + "/ HTTP/1.1\r\nHost: " + addr,
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, head+"\r\nConnection: close\r\n\r\n")
		answer, _ := io.ReadAll(c)
		_ = c.Close()
		if !strings.HasPrefix(string(answer), "HTTP/1.1 405 ") {
			t.Errorf("%q: got %.60q, want status 405", head, answer)
		}
	}
	if calls.Load() != 0 {
		t.Errorf("%d calls reached the API", calls.Load())
	}
}

// What is sent on, and where.
func TestForwarded(t *testing.T) {
	var got *http.Request
	api := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Clone(r.Context())
	})
	r := start(t, api, func(o *Options) {
		a, b := *o.Routes[0].Target, *o.Routes[0].Target
		a.Path, b.Path = "/base/", "/other"
		o.Routes = []Route{{Prefix: "/a", Target: &a, Policy: quick}, {Prefix: "/a/b/", Target: &b,
			Policy: quick}}
	})
	resp, _ := r.post(t, "/a/v1/x%2Fy?key=secret&b=1;2", "{}", "Authorization", "Bearer sk",
		"Forwarded", "for=1.2.3.4", "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Host", "evil.example",
		"Proxy-Authorization", "Bearer t", "Cookie", "a=b", "X-Rebound-Token", "t", "Te", "trailers",
		"Connection", "X-Hop", "X-Hop", "1", "Accept-Encoding", "gzip", "X-Custom", "kept")
	if resp.StatusCode != 200 || got == nil {
		t.Fatalf("got status %d", resp.StatusCode)
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host",
		"X-Forwarded-Proto", "Proxy-Authorization", "Cookie", "X-Rebound-Token", "X-Hop", "Te", "Via"} {
		if v := got.Header.Get(name); v != "" {
			t.Errorf("%s: %s was sent on", name, v)
		}
	}
	if got.Header.Get("Authorization") != "Bearer sk" || got.Header.Get("X-Custom") != "kept" ||
		got.URL.EscapedPath() != "/base/v1/x%2Fy" || !strings.Contains(got.URL.RawQuery, "key=secret") ||
		strings.HasPrefix(got.Host, "localhost") {
		t.Errorf("got %s %s, host %s, %v", got.Method, got.URL, got.Host, got.Header)
	}
	if r.post(t, "/a/b/c", ""); got.URL.Path != "/other/c" {
		t.Errorf("got path %s, want that of the longest prefix", got.URL.Path)
	}
	for _, path := range []string{"/", "/ab", "/b"} {
		if resp, _ := r.post(t, path, ""); resp.StatusCode != 404 {
			t.Errorf("%s: got status %d, want 404", path, resp.StatusCode)
		}
	}
	if text := r.log.String(); strings.Contains(text, "secret") || strings.Contains(text, "sk") ||
		!strings.Contains(text, "route=/a ") {
		t.Errorf("the log is\n%s", text)
	}
}

func TestToken(t *testing.T) {
	var key atomic.Value
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key.Store(r.Header.Get("Authorization") + r.Header.Get("X-Api-Key"))
		_, _ = io.WriteString(w, "{}")
	})
	r := start(t, api, func(o *Options) { o.Token, o.Key, o.Hosts = "tok", "sk-own", nil })
	for _, row := range []struct {
		header []string
		status int
		key    string
	}{
		{nil, 407, ""}, {[]string{"Authorization", "Bearer wrong"}, 407, ""},
		{[]string{"X-Rebound-Token", "to"}, 407, ""},
		{[]string{"Proxy-Authorization", "Bearer tok"}, 200, ""},
		{[]string{"Authorization", "Bearer tok"}, 200, "Bearer sk-own"},
		{[]string{"X-Api-Key", "tok"}, 200, "sk-own"},
	} {
		key.Store("")
		resp, _ := r.post(t, chat, "{}", row.header...)
		if resp.StatusCode != row.status || key.Load() != row.key {
			t.Errorf("%v: got status %d, key %v; want %d, %q", row.header, resp.StatusCode, key.Load(),
				row.status, row.key)
		}
	}
}

// One credential's failures open no other's breaker, and its permits are its own.
func TestCredentialsAreApart(t *testing.T) {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer bad" {
			w.WriteHeader(500)
		}
		_, _ = io.WriteString(w, "{}")
	})
	r := start(t, api, func(o *Options) { o.Breaker = true })
	for range 3 {
		r.post(t, chat, "{}", "Authorization", "Bearer bad")
	}
	resp, body := r.post(t, chat, "{}", "Authorization", "Bearer bad")
	if resp.StatusCode != 503 || !strings.Contains(body, "rebound_rejected") ||
		resp.Header.Get("Retry-After") == "" {
		t.Errorf("got status %d, %v, %s; want the breaker's 503", resp.StatusCode, resp.Header, body)
	}
	if resp, _ := r.post(t, chat, "{}", "Authorization", "Bearer good"); resp.StatusCode != 200 {
		t.Errorf("another credential: got status %d", resp.StatusCode)
	}
}

// An overload inside a stream is repeated. After output, events come as they are sent.
func TestStreams(t *testing.T) {
	var calls atomic.Int64
	next := make(chan struct{})
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if calls.Add(1) < 3 {
			_, _ = io.WriteString(w, "event: error\ndata: {\"type\": \"error\", \"error\": "+
				"{\"type\": \"overloaded_error\"}}\n\n")
			return
		}
		for range 3 {
			_, _ = io.WriteString(w, "data: {\"choices\": [{\"delta\": {\"content\": \"a\"}}]}\n\n")
			w.(http.Flusher).Flush()
			<-next
		}
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	})
	r := start(t, api, nil)
	resp, err := http.Post(r.url+chat, "application/json", strings.NewReader(`{"stream": true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Rebound-Attempts") != "3" {
		t.Errorf("got %v, want three attempts", resp.Header)
	}
	var stopped chan error
	buf := make([]byte, 4096)
	for i := range 3 { // each event arrives before the next one is sent
		n, err := resp.Body.Read(buf)
		if err != nil || strings.Count(string(buf[:n]), "data:") != 1 {
			t.Fatalf("event %d: got %q, %v", i, buf[:n], err)
		}
		if i == 1 { // the proxy drains: the stream ends whole
			stopped = make(chan error, 1)
			go func() { stopped <- r.stop() }()
		}
		next <- struct{}{}
	}
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(rest), "[DONE]") {
		t.Errorf("got %q, %v; want the end mark", rest, err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("the drain: %v", err)
	}
}

// If a client disconnects, its request to the API is canceled at once.
func TestAbort(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	api := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(begun)
		<-r.Context().Done()
		close(ended)
	})
	r := start(t, api, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	req, _ := http.NewRequestWithContext(ctx, "POST", r.url+chat, strings.NewReader("{}"))
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the API still works for a client that has disconnected")
	}
}

// Bodies under way together are bounded.
func TestMemory(t *testing.T) {
	hold := make(chan struct{})
	var inside atomic.Int64
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inside.Add(1)
		<-hold
		_, _ = io.WriteString(w, "{}")
	})
	r := start(t, api, func(o *Options) { o.MaxMemory = 100 })
	var wg sync.WaitGroup
	wg.Go(func() { r.post(t, chat, strings.Repeat("x", 80)) })
	for inside.Load() == 0 {
		<-time.After(time.Millisecond)
	}
	if resp, _ := r.post(t, chat, strings.Repeat("x", 30)); resp.StatusCode != 503 {
		t.Errorf("got status %d, want 503", resp.StatusCode)
	}
	close(hold)
	wg.Wait()
	if resp, _ := r.post(t, chat, strings.Repeat("x", 30)); resp.StatusCode != 200 {
		t.Errorf("got status %d after the other has ended, want 200", resp.StatusCode)
	}
}

// whenFree posts until there is memory for the body. The last body is held for a moment after it
// was sent.
func (r *running) whenFree(t *testing.T, body string) *http.Response {
	t.Helper()
	for range 3000 {
		resp, err := http.Post(r.url+chat, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == 200 {
			return resp
		}
		_ = resp.Body.Close()
		<-time.After(time.Millisecond)
	}
	t.Fatal("the memory is not free")
	return nil
}

const event = "data: {\"choices\": [{\"delta\": {\"content\": \"a\"}}]}\n\n"

// A stream that has begun is not repeated, and its request's body is no longer held.
func TestMemoryOfStreams(t *testing.T) {
	hold := make(chan struct{})
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, event)
		_ = http.NewResponseController(w).Flush()
		<-hold
		_, _ = io.WriteString(w, event+"data: [DONE]\n\n")
	}), func(o *Options) { o.MaxBody, o.MaxMemory = 1<<20, 1<<20 })
	var all []*http.Response
	rest := sync.OnceFunc(func() { close(hold) })
	defer rest()
	for range 5 {
		resp := r.whenFree(t, strings.Repeat("x", 900_000))
		defer resp.Body.Close()
		all = append(all, resp)
	}
	rest()
	for _, resp := range all {
		if text, err := io.ReadAll(resp.Body); err != nil || strings.Count(string(text), "data") != 3 {
			t.Errorf("got %q, %v", text, err)
		}
	}
}

// A failure without a response has the format of the provider's errors.
func TestNoResponse(t *testing.T) {
	r := start(t, http.NotFoundHandler(), func(o *Options) {
		o.Routes[0].Target = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	})
	resp, body := r.post(t, chat, "{}")
	if resp.StatusCode != 502 || !strings.Contains(body, `"type":"error"`) ||
		!strings.Contains(body, `"code":"rebound_exhausted"`) ||
		resp.Header.Get("X-Should-Retry") != "false" || resp.Header.Get("Rebound-Attempts") != "5" {
		t.Errorf("got status %d, %v, %s", resp.StatusCode, resp.Header, body)
	}
}

func TestOptions(t *testing.T) {
	https := &url.URL{Scheme: "https", Host: "api.example.com"}
	for want, o := range map[string]Options{
		"there is no route":           {},
		"begins with a slash":         {Routes: []Route{{Prefix: "a", Target: https}}},
		"occurs twice":                {Routes: []Route{{Target: https}, {Prefix: "/", Target: https}}},
		"is not encrypted":            {Routes: []Route{{Target: &url.URL{Scheme: "http", Host: "a.b"}}}},
		"--key-env needs --token-env": {Routes: []Route{{Target: https}}, Key: "k"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := strict.Hosts(&net.TCPAddr{IP: net.IPv4zero, Port: 1}); err == nil {
		t.Error("an address that is not loopback needs no token")
	}
}

func TestMetrics(t *testing.T) {
	var calls atomic.Int64
	r := start(t, script(&calls, 503, 200), nil)
	r.post(t, chat, "{}", "Authorization", "Bearer sk")
	_ = r.stop() // a request is counted when its handler has returned
	w := httptest.NewRecorder()
	r.Metrics.ServeHTTP(w, nil)
	for _, line := range []string{`rebound_proxy_requests_total{route="/",status="200"} 1`,
		`rebound_proxy_attempts_total{route="/"} 2`, `rebound_proxy_retried_total{route="/"} 1`,
		"rebound_proxy_in_flight 0"} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("no %s in\n%s", line, w.Body)
		}
	}
}
