//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// request sends a request with headers in pairs, and returns the status and the body.
func request(t *testing.T, method, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if req.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// echoing is an API that repeats credentials in its errors.
func echoing(t *testing.T) string {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprintf(w, `{"error": {"message": "bad key %s %s"}}`, r.Header, r.URL)
	}))
	t.Cleanup(up.Close)
	return up.URL
}

// The proxy writes no credential anywhere.
func TestProxyWritesNoCredential(t *testing.T) {
	for _, log := range []string{"text", "json"} {
		s := serveProxy(t, echoing(t), "--log", log, "--debug", "localhost:0", "--metrics", "localhost:0",
			"--token-env", "PROXY_TOKEN", "--key-env", "API_KEY", "--breaker", "--max-in-flight", "5")
		bodies := `{"model": "m", "messages": "prompt-secret"}`
		for _, header := range [][]string{
			{"Authorization", "Bearer tok-secret"},
			{"X-Api-Key", "tok-secret", "Cookie", "cookie-secret"},
			{"Proxy-Authorization", "Bearer tok-secret", "Authorization", "Bearer client-secret"},
			{"X-Rebound-Token", "wrong-secret"},
		} {
			status, text := request(t, "POST", s.url+chatPath+"?key=query-secret&x=1", bodies, header...)
			if own := strings.Contains(text, "key-secret"); status == 401 && !own ||
				strings.Contains(text, "tok-secret") {
				t.Errorf("%v: the API saw %s", header, text)
			}
		}
		var all strings.Builder
		for _, path := range []string{"", "?format=json", "?format=json&all"} {
			_, text := request(t, "GET", s.sides["--debug"]+path, "")
			all.WriteString(text)
		}
		_, text := request(t, "GET", s.sides["--metrics"], "")
		all.WriteString(text)
		if !strings.Contains(all.String(), "bad key") ||
			!strings.Contains(text, `rebound_proxy_requests_total{route="/",status="401"} 3`) {
			t.Errorf("the failures are not shown\n%s", &all)
		}
		_ = s.Process.Signal(syscall.SIGTERM)
		s.exit(t)
		all.WriteString(s.printed())
		for i, line := range strings.Split(all.String(), "\n") {
			if strings.Contains(line, "-secret") {
				t.Errorf("line %d: %s", i, line)
			}
		}
		for line := range strings.Lines(s.printed()) {
			var entry struct {
				Route    string
				Attempts int
			}
			if log == "json" && line[0] == '{' && (json.Unmarshal([]byte(line), &entry) != nil ||
				entry.Route != "/") {
				t.Errorf("got %s", line)
			}
		}
	}
}

// The page and the metrics are read-only, have their own ports, and accept only names of this
// machine.
func TestProxySides(t *testing.T) {
	s := serveProxy(t, echoing(t), "--debug", "localhost:0", "--metrics", "localhost:0", "--breaker",
		"--max-in-flight", "5", "--rpm", "600")
	request(t, "POST", s.url+chatPath, `{"model": "m"}`, "Authorization", "Bearer sk-secret")
	for flag, url := range s.sides {
		port := url[strings.LastIndexByte(strings.TrimSuffix(url, "/"), ':'):]
		port, _, _ = strings.Cut(port, "/")
		for _, row := range []struct {
			method, host string
			status       int
		}{
			{"GET", "localhost" + port, 200}, {"GET", "127.0.0.1" + port, 200},
			{"HEAD", "localhost" + port, 200},
			{"GET", "evil.example", 421}, {"GET", "evil.example" + port, 421},
			{"GET", "127.0.0.2" + port, 421}, {"GET", "localhost:1", 421},
			{"POST", "localhost" + port, 405}, {"PUT", "localhost" + port, 405},
			{"DELETE", "localhost" + port, 405}, {"OPTIONS", "localhost" + port, 405},
		} {
			if status, _ := request(t, row.method, url, "", "Host", row.host); status != row.status {
				t.Errorf("%s: %s for %s: got status %d, want %d", flag, row.method, row.host, status,
					row.status)
			}
		}
	}
	_, text := request(t, "GET", s.sides["--debug"]+"?format=json", "")
	var page struct {
		Breakers, Limits []struct{ Name string }
		Policies         []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Breakers) != 1 ||
		len(page.Limits) < 2 || len(page.Policies) != 1 {
		t.Errorf("got %+v, %v\n%s", page, err, text)
	}
	// The page's stream is that of one handler, and has what came later.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", s.sides["--debug"]+"events", nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	request(t, "POST", s.url+chatPath, "{}", "Authorization", "Bearer another")
	for events := bufio.NewReader(resp.Body); len(page.Breakers) < 2; {
		line, err := events.ReadString('\n')
		if err != nil {
			t.Fatalf("no second breaker: %v", err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			_ = json.Unmarshal([]byte(data), &page)
		}
	}
}

// Each route has its own policy.
func TestProxyPolicyOfARoute(t *testing.T) {
	var calls atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer up.Close()
	file := filepath.Join(t.TempDir(), "p.yaml")
	const constant = "{kind: constant, base: 1ms}"
	text := "policies:\n"
	for name, attempts := range map[string]int{"two": 2, "four": 4} {
		text += fmt.Sprintf("  %s: {attempts: %d, backoff: %s, throttled: %[3]s}\n", name, attempts,
			constant)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveProxy(t, up.URL, "--route", "/a="+up.URL, "--policy", file+"#two", "--policy",
		"/a="+file+"#four")
	for path, want := range map[string]int64{"": 2, "/a": 4} {
		calls.Store(0)
		status, _ := request(t, "POST", s.url+path+chatPath, "{}")
		if calls.Load() != want || status != 503 {
			t.Errorf("%s: %d calls, status %d; want %d", path, calls.Load(), status, want)
		}
	}
}
