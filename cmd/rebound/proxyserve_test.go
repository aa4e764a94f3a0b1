//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	chatPath    = "/v1/chat/completions"
	streamEvent = "data: {\"choices\": [{\"delta\": {\"content\": \"a\"}}]}\n\n"
)

// served is a `rebound proxy` that runs.
type served struct {
	*exec.Cmd
	url   string
	sides map[string]string // --debug and --metrics, by their URL

	mu    sync.Mutex
	text  bytes.Buffer // that it has printed
	ended chan struct{}
}

// serveProxy runs a proxy on a port of its own. Without an API it goes to nothing.
func serveProxy(t *testing.T, api string, args ...string) *served {
	t.Helper()
	if !strings.Contains(strings.Join(args, " "), "--listen") {
		args = append([]string{"--listen", "127.0.0.1:0"}, args...)
	}
	args = append([]string{"proxy", "--to", api}, args...)
	s := &served{ended: make(chan struct{}), sides: map[string]string{}}
	s.Cmd = exec.Command(filepath.Join(bin(t), "rebound"), args...)
	s.Env = append(environment(t), "PROXY_TOKEN=tok-secret", "API_KEY=key-secret")
	out, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.Stdout = s.Stderr
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go s.read(bufio.NewScanner(out), ready)
	t.Cleanup(func() {
		_ = s.Process.Kill()
		select {
		case <-s.ended:
		case <-time.After(time.Minute): // a command of the proxy may still run
			t.Error("a process of the proxy still runs")
		}
		if t.Failed() {
			t.Logf("the proxy printed\n%s", s.printed())
		}
	})
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Fatal("the proxy does not begin")
	}
	return s
}

// read keeps what is printed. The lines of the routes are the last ones before requests are served.
func (s *served) read(lines *bufio.Scanner, ready chan struct{}) {
	defer close(s.ended)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		s.mu.Lock()
		s.text.WriteString(lines.Text() + "\n")
		s.mu.Unlock()
		switch {
		case strings.Contains(lines.Text(), " is at "):
			s.sides[words[1]] = words[4]
		case strings.Contains(lines.Text(), " → ") && s.url == "":
			u, _ := url.Parse(words[1])
			s.url = "http://" + u.Host
			close(ready)
		}
	}
}

func (s *served) printed() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// exit waits for the end, and returns the exit code; -1 = a signal has ended it.
func (s *served) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		t.Fatal("the proxy does not end")
	}
	_ = s.Wait()
	return s.ProcessState.ExitCode()
}

// streaming is an API whose streams continue when rest is closed.
func streaming(t *testing.T) (api string, rest chan struct{}) {
	rest = make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, streamEvent)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-rest:
			_, _ = io.WriteString(w, streamEvent+"data: [DONE]\n\n")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(up.Close)
	return up.URL, rest
}

// stream begins a stream, and returns the rest of it when the first event has arrived.
func (s *served) stream(t *testing.T) io.Reader {
	t.Helper()
	resp, err := http.Post(s.url+chatPath, "application/json", strings.NewReader(`{"stream": true}`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	body := bufio.NewReader(resp.Body)
	if line, err := body.ReadString('\n'); err != nil {
		t.Fatalf("got %q, %v", line, err)
	}
	return body
}

// A stream under way ends whole, and no new request begins.
func TestProxyDrains(t *testing.T) {
	api, rest := streaming(t)
	s := serveProxy(t, api)
	body := s.stream(t)
	_ = s.Process.Signal(syscall.SIGTERM)
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(rest)
	if text, err := io.ReadAll(body); err != nil || !strings.Contains(string(text), "[DONE]") {
		t.Errorf("got %q, %v; want the whole stream", text, err)
	}
	if code := s.exit(t); code != 0 {
		t.Errorf("got exit code %d", code)
	}
}

// If the drain is too short, streams are cut, and clients get an error.
func TestProxyDrainIsTooShort(t *testing.T) {
	for name, row := range map[string]struct {
		drain string
		end   []syscall.Signal
		code  int
	}{
		"the time is over": {"20ms", []syscall.Signal{syscall.SIGINT}, 125},
		"a second signal":  {"1h", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, -1},
		"killed":           {"1h", []syscall.Signal{syscall.SIGKILL}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			api, _ := streaming(t)
			s := serveProxy(t, api, "--drain", row.drain)
			body := s.stream(t)
			_ = s.Process.Signal(row.end[0])
			if len(row.end) > 1 { // again, until the first one has been taken
				go func() {
					for s.Process.Signal(row.end[1]) == nil {
						<-time.After(10 * time.Millisecond)
					}
				}()
			}
			if text, err := io.ReadAll(body); err == nil {
				t.Errorf("got %q and no error", text)
			}
			if code := s.exit(t); code != row.code {
				t.Errorf("got exit code %d, want %d", code, row.code)
			}
			const why = "requests were cut off: they did not end within --drain 20ms"
			if strings.Contains(s.printed(), why) != (row.code == 125) {
				t.Errorf("printed\n%s", s.printed())
			}
		})
	}
}

// If a kill interrupts an answer in one piece, the client gets nothing of it.
func TestProxyIsKilledInAnAnswer(t *testing.T) {
	half := make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices": [`)
		_ = http.NewResponseController(w).Flush()
		close(half)
		<-r.Context().Done()
	}))
	defer up.Close()
	s := serveProxy(t, up.URL)
	go func() {
		<-half
		_ = s.Process.Kill()
	}()
	resp, err := http.Post(s.url+chatPath, "application/json", strings.NewReader("{}"))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("half an answer was taken for a whole one")
	}
}

// The command gets the signals, and its requests are served until it ends.
func TestProxySignalsReachTheCommand(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "from the API")
	}))
	defer up.Close()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP,
		syscall.SIGUSR1} {
		s := serveProxy(t, up.URL, "--", "bash", "-c", `
			last() {
				address=${REBOUND_BASE_URL#http://}
				exec 3<>"/dev/tcp/${address%:*}/${address#*:}"
				printf 'GET /a HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$address" >&3
				cat <&3 >&2
				exit 3
			}
			trap last TERM INT HUP USR1
			echo "the trap is set" >&2
			while :; do sleep 0.05; done`)
		for !strings.Contains(s.printed(), "the trap is set") {
			<-time.After(time.Millisecond)
		}
		_ = s.Process.Signal(sig)
		if code := s.exit(t); code != 3 || !strings.Contains(s.printed(), "from the API") {
			t.Errorf("%v: got exit code %d, want 3 and the API's answer\n%s", sig, code, s.printed())
		}
	}
}

// Only its owner can use a unix socket. The socket of a killed proxy is replaced.
func TestProxyOnASocket(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	defer up.Close()
	path := filepath.Join(t.TempDir(), "s")
	for range 2 {
		s := serveProxy(t, up.URL, "--listen", "unix:"+path)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("got %v, %v; want mode 0600", info, err)
		}
		client := &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			},
		}}
		resp, err := client.Get("http://rebound.invalid/a")
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v, %v", resp, err)
		}
		_ = resp.Body.Close()
		client.CloseIdleConnections()
		_ = s.Process.Kill()
		s.exit(t)
	}
	serveProxy(t, up.URL, "--listen", "unix:"+path)
	out, err := exec.Command(filepath.Join(bin(t), "rebound"), "proxy", "--to", up.URL, "--listen",
		"unix:"+path).CombinedOutput()
	if e := (*exec.ExitError)(nil); !errors.As(err, &e) || e.ExitCode() != 125 {
		t.Errorf("a socket in use: got %v, %s", err, out)
	}
}
