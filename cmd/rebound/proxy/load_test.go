//go:build unix

package proxy

import (
	"bufio"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var long = flag.Bool("long", false, "make tests of load as long as the demands")

// crowd is how many clients come. They are 10,000 in the long form.
func crowd() int {
	if *long {
		return 10_000
	}
	return 500
}

// streams are how many of them stay at once: each has four ends in this process.
func streams(t *testing.T) int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	n := min(crowd(), int(files.Cur)/4-50)
	if n < crowd() {
		t.Logf("no more than %d streams, as ulimit -n is %d", n, files.Cur)
	}
	return n
}

// goroutines is how many there are once the proxy serves.
func (r *running) goroutines(t *testing.T) int {
	t.Helper()
	r.post(t, "/", "")
	return runtime.NumGoroutine()
}

// settles waits until no more goroutines are left than there were.
func settles(t *testing.T, before int) {
	t.Helper()
	for range 500 {
		http.DefaultClient.CloseIdleConnections()
		if runtime.NumGoroutine() <= before {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before,
		buf[:runtime.Stack(buf, true)])
}

const event = "data: {\"choices\": [{\"delta\": {\"content\": \"a\"}}]}\n\n"

// opened is a stream that has begun.
type opened struct {
	first string // line
	rest  *bufio.Reader
	io.Closer
}

// open begins a stream, and returns once its first line is there.
func (r *running) open(ctx context.Context, client *http.Client) (*opened, error) {
	body := strings.NewReader(`{"stream": true}`)
	req, _ := http.NewRequestWithContext(ctx, "POST", r.url+chat, body)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	rest := bufio.NewReaderSize(resp.Body, 16)
	line, err := rest.ReadString('\n')
	return &opened{strings.TrimSpace(line), rest, resp.Body}, err
}

// Many streams at once all end whole, and their memory is that of their buffers.
func TestManyStreams(t *testing.T) {
	n, rest := streams(t), make(chan struct{})
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, event)
		_ = http.NewResponseController(w).Flush()
		<-rest
		_, _ = io.WriteString(w, event+"data: [DONE]\n\n")
	}), func(o *Options) { o.Log = nil })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var begun, ended sync.WaitGroup
	var whole atomic.Int64
	dials := make(chan struct{}, 100) // no more, or the kernel's queue is full
	for range n {
		begun.Add(1)
		ended.Go(func() {
			dials <- struct{}{}
			stream, err := r.open(t.Context(), client)
			<-dials
			begun.Done()
			if err != nil {
				t.Error(err)
				return
			}
			defer stream.Close()
			if text, err := io.ReadAll(stream.rest); err == nil && strings.Contains(string(text), "[DONE]") {
				whole.Add(1)
			}
		})
	}
	begun.Wait()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d streams: %d MB in use by clients, proxy and API", n, (m.HeapInuse+m.StackInuse)>>20)
	if per := int(m.HeapInuse+m.StackInuse) / n; per > 400<<10 {
		t.Errorf("%d bytes for each stream", per)
	}
	close(rest)
	ended.Wait()
	if int(whole.Load()) != n {
		t.Errorf("%d of %d streams ended whole", whole.Load(), n)
	}
}

// Clients that go away cancel their requests to the API, and leave no goroutine.
func TestManyAborts(t *testing.T) {
	var aborted [16 << 10]atomic.Int64 // when a client went
	var began, canceled atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path != chat {
			return
		}
		n := began.Add(1) - 1
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "id: "+time.Duration(n).String()+"\n"+event)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		now := time.Now().UnixNano()
		mu.Lock()
		took = append(took, time.Duration(now-aborted[n].Load()))
		mu.Unlock()
		canceled.Add(1)
	}), func(o *Options) { o.Log = nil })
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport}
	before := r.goroutines(t)
	work := make(chan struct{}, crowd())
	for range crowd() {
		work <- struct{}{}
	}
	close(work)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range work {
				r.abort(t, client, &aborted)
			}
		})
	}
	wg.Wait()
	for int(canceled.Load()) < crowd() {
		<-time.After(time.Millisecond)
	}
	slices.Sort(took)
	t.Logf("%d aborts reached the API within %v, half of them within %v", crowd(), took[len(took)-1],
		took[len(took)/2])
	transport.CloseIdleConnections()
	r.base.(*http.Transport).CloseIdleConnections()
	settles(t, before)
}

// abort begins a stream and goes away.
func (r *running) abort(t *testing.T, client *http.Client, aborted *[16 << 10]atomic.Int64) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := r.open(ctx, client)
	if err != nil {
		t.Error(err)
		return
	}
	n, err := time.ParseDuration(strings.TrimPrefix(stream.first, "id: "))
	if err != nil {
		t.Error(err)
		return
	}
	aborted[n].Store(time.Now().UnixNano())
	cancel()
	_ = stream.Close()
}

// Clients that stop halfway through a body leave nothing behind.
func TestBrokenBodies(t *testing.T) {
	var calls atomic.Int64
	r := start(t, script(&calls, 200), func(o *Options) { o.MaxBody, o.MaxMemory = 1000, 1000 })
	before := r.goroutines(t)
	for range 20 {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "POST /a HTTP/1.1\r\nHost: "+strings.TrimPrefix(r.url, "http://")+
			"\r\nContent-Length: 900\r\n\r\nhalf")
		_ = c.(*net.TCPConn).CloseWrite()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 400 {
			t.Fatalf("got %v, %v; want status 400", resp, err)
		}
		_ = c.Close()
	}
	if calls.Load() != 1 {
		t.Errorf("%d halves reached the API", calls.Load()-1)
	}
	settles(t, before)
}
