//go:build unix

package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/proxy/strict"
)

// role is the variable that makes this binary one of the processes of a load test. So each has its
// own memory, descriptors and share of the machine.
const role = "REBOUND_TEST_ROLE"

func TestMain(m *testing.M) {
	raiseFiles()
	var h http.Handler
	target, _ := url.Parse(os.Getenv("REBOUND_TEST_TARGET"))
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "api", "api by HTTP/2":
		h = &streamingAPI{}
	case "bare":
		h = &httputil.ReverseProxy{Transport: newBase(), ErrorLog: silent, FlushInterval: -1,
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	case "bytes":
		forwardBytes(target.Host)
	case "proxy":
		serveProxy(target)
	}
	s := httptest.NewUnstartedServer(h)
	if os.Getenv(role) == "api by HTTP/2" {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	fmt.Println(s.URL)
	reportOn(os.Stdin)
}

// serveProxy is the process of the proxy.
func serveProxy(target *url.URL) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	hosts, _ := strict.Hosts(l.Addr())
	p, err := New(Options{Routes: []Route{{Target: target}}, Hosts: hosts,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + l.Addr().String())
	go reportOn(os.Stdin)
	panic(p.Serve(context.Background(), l, time.Second))
}

// forwardBytes is the smallest possible proxy. It passes bytes on unread, and so measures the cost
// of one more process on this machine.
func forwardBytes(target string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + l.Addr().String())
	go reportOn(os.Stdin)
	for {
		client, err := l.Accept()
		if err != nil {
			panic(err)
		}
		server, err := net.Dial("tcp", target)
		if err != nil {
			panic(err)
		}
		go func() { _, _ = io.Copy(server, client) }()
		go func() { _, _ = io.Copy(client, server) }()
	}
}

// raiseFiles has a process open as many files as it may.
func raiseFiles() {
	const enough = 50_000
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil && files.Max < enough {
		files.Cur, files.Max = enough, enough
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files) // which root may
	}
}

// reportOn answers each line with the goroutines of the process, the bytes that it has and the time
// that it has computed, in ns.
func reportOn(lines io.Reader) {
	for in := bufio.NewScanner(lines); in.Scan(); {
		if in.Text() == "collect" {
			debug.FreeOSMemory()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		var cpu syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &cpu)
		fmt.Println("report", runtime.NumGoroutine(), m.Sys-m.HeapReleased,
			cpu.Utime.Nano()+cpu.Stime.Nano())
	}
	os.Exit(0) // the test is gone
}

// streamingAPI answers at once, or begins a stream and ends it after /end. It writes when a stream
// was canceled.
type streamingAPI struct {
	rest atomic.Pointer[chan struct{}]
}

func (a *streamingAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := make(chan struct{})
	a.rest.CompareAndSwap(nil, &now)
	rest := *a.rest.Load()
	text, _ := io.ReadAll(r.Body)
	switch {
	case r.URL.Path == "/end":
		a.rest.Store(&now)
		close(rest)
	case !strings.Contains(string(text), "stream"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices": [{"message": {"content": "Hello!"}}]}`)
	default:
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "id: %d\n%s", time.Now().UnixNano(), event)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-rest:
			_, _ = io.WriteString(w, event+"data: [DONE]\n\n")
		case <-r.Context().Done():
			fmt.Println("canceled", r.Header.Get("X-Stream"), time.Now().UnixNano())
		}
	}
}

// child is a process of a test.
type child struct {
	url   string
	in    io.Writer
	lines chan []string // that it writes, in words
}

func begin(t testing.TB, as, target string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+as, "REBOUND_TEST_TARGET="+target)
	cmd.Stderr = os.Stderr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c := &child{in: in, lines: make(chan []string, 30_000)}
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- strings.Fields(s.Text())
		}
	}()
	c.url = c.next(t)[0]
	return c
}

// next is the next line that the process writes.
func (c *child) next(t testing.TB) []string {
	t.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok {
			t.Fatal("the process has ended")
		}
		return line
	case <-time.After(time.Minute):
		t.Fatal("the process writes nothing")
	}
	return nil
}

// report is what a process has, and has used.
type report struct {
	goroutines, bytes int
	cpu               time.Duration
}

// report has a process measure itself. With collect it collects its garbage first.
func (c *child) report(t testing.TB, collect bool) (r report) {
	t.Helper()
	word := "now\n"
	if collect {
		word = "collect\n"
	}
	_, _ = io.WriteString(c.in, word)
	line := strings.Join(c.next(t), " ")
	if _, err := fmt.Sscanf(line, "report %d %d %d", &r.goroutines, &r.bytes, &r.cpu); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return r
}
