package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rebound-go/rebound"
)

// raw sends text over a connection of its own, and returns all that comes back.
func (r *running) raw(t *testing.T, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, strings.ReplaceAll(text, "HOST", strings.TrimPrefix(r.url, "http://")))
	all, _ := io.ReadAll(c)
	return string(all)
}

// Targets that lead out of their route.
func TestTargets(t *testing.T) {
	var calls atomic.Int64
	r := start(t, script(&calls, 200), nil)
	for target, status := range map[string]string{
		"*": "404", "/../admin": "400", "/a/../../admin": "400", "/a/%2e%2e/admin": "400",
		"/a/%2e./admin": "400", "/..": "400", "/a/..;/admin": "400", "/a/..;x=1/admin": "400",
		`/a/..\..\admin`: "400", "/a/%5c..%5cadmin": "400",
	} {
		got := r.raw(t, "OPTIONS "+target+" HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 "+status) {
			t.Errorf("%s: got %.50q, want status %s", target, got, status)
		}
	}
	if calls.Load() != 0 {
		t.Errorf("%d calls reached the API", calls.Load())
	}
	if resp, _ := r.post(t, "/a/..b/c..", ""); resp.StatusCode != 200 {
		t.Errorf("names with dots: got status %d", resp.StatusCode)
	}
}

// A client that waits for 100 Continue gets it if the body is read, and otherwise an answer at
// once. The proxy has the body, so it does not wait for the API's 100 Continue.
func TestExpectContinue(t *testing.T) {
	var expect atomic.Value
	r := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		expect.Store(r.Header.Get("Expect"))
		_, _ = io.Copy(io.Discard, r.Body)
	}), func(o *Options) { o.MaxBody = 10 })
	head := "POST / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nExpect: 100-continue\r\n"
	if got := r.raw(t, head+"Content-Length: 2\r\n\r\n{}"); expect.Load() != "" ||
		!strings.HasPrefix(got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ") {
		t.Errorf("got %q, the API saw %q", got, expect.Load())
	}
	if got := r.raw(t, head+"Content-Length: 11\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("too long: got %q", got)
	}
}

// Hints before a response are passed on, even those of failed attempts.
func TestEarlyHints(t *testing.T) {
	var calls atomic.Int64
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", fmt.Sprintf("</%d>", calls.Add(1)))
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		if calls.Load() < 2 {
			w.WriteHeader(503)
		}
		_, _ = io.WriteString(w, "{}")
	}), nil)
	var hints []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		hints = append(hints, h.Get("Link"))
		return nil
	}}
	req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET",
		r.url+"/a", nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if fmt.Sprint(hints) != "[</1> </2>]" || resp.StatusCode != 200 || resp.Header.Get("Link") != "" {
		t.Errorf("got hints %v, status %d, %v", hints, resp.StatusCode, resp.Header)
	}
}

func TestTrailersAndHead(t *testing.T) {
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Length", "1234")
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "7")
	}), nil)
	for _, path := range []string{chat, "/other"} {
		resp, err := http.Post(r.url+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(text) != "body" || resp.Trailer.Get("X-Sum") != "7" {
			t.Errorf("%s: got %q, trailer %v", path, text, resp.Trailer)
		}
	}
	resp, err := http.Head(r.url + "/a")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || resp.ContentLength != 1234 {
		t.Errorf("HEAD: got status %d, length %d", resp.StatusCode, resp.ContentLength)
	}
}

// Headers that only the proxy may send are not taken from the API.
func TestHeadersOfTheProxy(t *testing.T) {
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Alt-Svc", `h3=":443"`)
		w.Header().Set("Rebound-Stopped", "exhausted")
		w.Header().Set("Rebound-Waited", "1s")
	}), nil)
	resp, _ := r.post(t, "/a", "")
	if h := resp.Header; h.Get("Alt-Svc")+h.Get("Rebound-Stopped")+h.Get("Rebound-Waited") != "" {
		t.Errorf("got %v", h)
	}
}

// With HTTP/1.0 a broken stream would look whole.
func TestOldHTTP(t *testing.T) {
	var calls atomic.Int64
	r := start(t, script(&calls, 200), nil)
	got := r.raw(t, "GET / HTTP/1.0\r\nHost: HOST\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.0 505 ") || calls.Load() != 0 {
		t.Errorf("got %q after %d calls, want status 505", got, calls.Load())
	}
}

// A newline after a request ends the connection, but does not affect the answer under way.
func TestNewlineBehindARequest(t *testing.T) {
	next := make(chan struct{})
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = io.WriteString(w, strings.Repeat("a", 1000))
		_ = http.NewResponseController(w).Flush()
		<-next
	}), nil)
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /a HTTP/1.1\r\nHost: "+c.RemoteAddr().String()+"\r\n\r\n")
	buf := make([]byte, 1)
	_, _ = c.Read(buf) // it answers
	_, _ = io.WriteString(c, "\n")
	rest, _ := io.ReadAll(c)
	close(next)
	if strings.Contains(string(rest), "ambiguous") {
		t.Errorf("got %.80q", rest[max(0, len(rest)-80):])
	}
}

// Redirects are the client's to follow.
func TestRedirect(t *testing.T) {
	var calls atomic.Int64
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "http://169.254.169.254/secret", http.StatusFound)
	}), nil)
	got := r.raw(t, "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 302 ") || calls.Load() != 1 ||
		!strings.Contains(got, "Location: http://169.254.169.254/secret\r\n") {
		t.Errorf("got %q after %d calls", got, calls.Load())
	}
}

// An allowed page sends a preflight request, and may read the response. What the API allows does
// not count.
func TestAllowedPages(t *testing.T) {
	const page = "http://localhost:3000"
	var calls atomic.Int64
	api := script(&calls, 200)
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		api.ServeHTTP(w, r)
	}), func(o *Options) { o.Origin, o.Token = []string{page}, "token-of-the-proxy" })
	ask := func(origin string) *http.Response {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodOptions, r.url+chat, nil)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		req.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	h := ask(page).Header
	if h.Get("Access-Control-Allow-Origin") != page || calls.Load() != 0 ||
		h.Get("Access-Control-Allow-Headers") != "authorization,content-type" {
		t.Errorf("the page may not call: %v, after %d calls", h, calls.Load())
	}
	resp := ask("http://evil.example")
	if resp.StatusCode != 403 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another page: got status %d, %v", resp.StatusCode, resp.Header)
	}
	for token, status := range map[string]int{"token-of-the-proxy": 200, "": 407} {
		resp, _ := r.post(t, chat, "{}", "Origin", page, "X-Rebound-Token", token)
		if got := resp.Header.Values("Access-Control-Allow-Origin"); resp.StatusCode != status ||
			fmt.Sprint(got) != "["+page+"]" {
			t.Errorf("token %q: got status %d, %v; want %d", token, resp.StatusCode, got, status)
		}
	}
	if resp, _ := r.post(t, chat, "{}", "X-Rebound-Token", "token-of-the-proxy"); resp.Header.Get(
		"Access-Control-Allow-Origin") != "" {
		t.Error("no page has asked")
	}
}

// Bodies in chunks count by the bytes received, not by the most that they may have.
func TestChunksCountWhatTheyHave(t *testing.T) {
	hold := make(chan struct{})
	inside := make(chan struct{}, 20)
	r := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		inside <- struct{}{}
		<-hold
	}), func(o *Options) { o.MaxBody, o.MaxMemory = 1<<20, 1<<20 })
	var wg sync.WaitGroup
	post := func(n int) int {
		body := struct{ io.Reader }{strings.NewReader(strings.Repeat("x", n))} // of unknown length
		resp, err := http.Post(r.url+"/a", "text/plain", body)
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for range 10 {
		wg.Go(func() {
			if status := post(1000); status != 200 {
				t.Errorf("got status %d", status)
			}
		})
		<-inside
	}
	if status := post(1<<20 - 5000); status != 503 {
		t.Errorf("beyond the memory: got status %d, want 503", status)
	}
	if status := post(1<<20 + 1); status != 413 && status != 503 {
		t.Errorf("beyond the limit: got status %d", status)
	}
	close(hold)
	wg.Wait()
	if status := post(1<<20 - 5000); status != 200 {
		t.Errorf("got status %d once the others have ended, want 200", status)
	}
}

// A provider may repeat a key in its error. The key appears only in the client's own response.
func TestNoCredentialIsObserved(t *testing.T) {
	var seen strings.Builder
	var mu sync.Mutex
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprintf(w, `{"error": {"message": "Incorrect API key: %s or %s", "code": %[1]q}}`,
			key, r.URL.Query().Get("key"))
	}), func(o *Options) {
		o.Observe = func(_ context.Context, e rebound.Event) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(&seen, "%+v\n", e)
		}
	})
	_, body := r.post(t, chat+"?key=goog-secret", "{}", "Authorization", "Bearer sk-secret")
	_ = r.stop()
	if !strings.Contains(body, "sk-secret") {
		t.Errorf("got %s, want the API's response", body)
	}
	if text := seen.String() + r.log.String(); strings.Contains(text, "-secret") ||
		!strings.Contains(text, "Incorrect API key") {
		t.Errorf("observed\n%s", text)
	}
}
