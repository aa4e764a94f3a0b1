//go:build unix

package main

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound/internal/daemon"
)

// The command is run once the service answers, and not before.
func TestWaitForService(t *testing.T) {
	var ready atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer web.Close()
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))

	c := command(t, "run", "--wait-for", web.URL+"/health", "--wait-for", "tcp://"+addr, "--",
		"echo", "works")
	stderr, err := c.StderrPipe()
	var out strings.Builder
	c.Stdout = &out
	if err != nil || c.Start() != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	expect(t, lines, "waiting for "+web.URL+"/health: status 503")
	ready.Store(true)
	expect(t, lines, web.URL+"/health is ready after ")
	expect(t, lines, "waiting for tcp://"+addr+": ")
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skip(err) // another program has taken the port
	}
	defer l.Close()
	expect(t, lines, "tcp://"+addr+" is ready after ")
	if err := c.Wait(); err != nil || out.String() != "works\n" {
		t.Errorf("got %q, %v, want that the command works", &out, err)
	}
}

// expect reads a line of messages.
func expect(t *testing.T, lines *bufio.Reader, want string) {
	t.Helper()
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "rebound: "+want) {
		t.Fatalf("got %q, %v, want %q", line, err, want)
	}
}

// The wait may take the whole time for all attempts. The attempts get the rest.
func TestWaitForServiceEnds(t *testing.T) {
	t.Parallel()
	began := time.Now()
	code, out := script(t, "rebound run --wait-for tcp://127.0.0.1:1 -t .6 -- echo not reached")
	if code != 124 || !strings.Contains(out, "is not ready after") ||
		!strings.Contains(out, "echo: tcp://127.0.0.1:1") || strings.Contains(out, "reached\n") {
		t.Errorf("got exit code %d, %s, want 124", code, out)
	}
	if took := time.Since(began); took < 600*time.Millisecond {
		t.Errorf("got %v, want all of the 600ms", took)
	}

	c := command(t, "run", "--wait-for", "tcp://127.0.0.1:1", "--", "echo", "not reached")
	stderr, err := c.StderrPipe()
	if err != nil || c.Start() != nil {
		t.Fatal(err)
	}
	expect(t, bufio.NewReader(stderr), "waiting for ")
	signalTo(t, c, syscall.SIGTERM)
	killed(t, c, syscall.SIGTERM, nil)

	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	code, out = script(t, "rebound run --wait-for "+web.URL+" -t 2 -- echo not reached")
	if code != 124 || !strings.Contains(out, "status 404") {
		t.Errorf("got exit code %d, %s, want 124", code, out)
	}
	asked := make(chan bool, 1)
	stuck := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- true:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			<-r.Context().Done()
		}
	}))
	defer stuck.Close()
	code, out = script(t, "rebound run --wait-for "+stuck.URL+" -t 4 -- echo not reached")
	if code != 124 || !strings.Contains(out, "is not ready after") ||
		strings.Count(out, "status 503") != 2 {
		t.Errorf("got exit code %d, %s, want 124, and twice the last answer", code, out)
	}
}

// If a service is ready at once, the attempts get the whole time.
func TestServiceIsThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	code, out := script(t, "rebound run --wait-for tcp://"+l.Addr().String()+
		" -t 1 --attempt-timeout 1 -- sleep 9")
	if code != 124 || !strings.Contains(out, "past elapsed") {
		t.Errorf("got exit code %d, %s, want 124", code, out)
	}
}

func TestServiceNames(t *testing.T) {
	for text, want := range map[string]string{
		"tcp://localhost:5432": "", "tcp://[::1]:80": "", "http://localhost/health": "",
		"https://example.com": "", "http://localhost:8080": "",
		"localhost:5432": "did you mean tcp://localhost:5432?", "tcp://localhost": "want tcp://",
		"tcp://:80": "want tcp://", "http://": "want tcp://", "ftp://x": "want tcp://",
		"": "want tcp://", "http://x:y": "want tcp://", "tcp://x:0": "want 1 to 65535",
		"tcp://x:99999": "want 1 to 65535", "http://x:65536": "want 1 to 65535",
		"tcp://x:99999999999999999999": "want 1 to 65535", "tcp://x:1/path": "want tcp://",
	} {
		var s services
		err := s.Set(text)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
