//go:build unix

package proxy

import (
	"bufio"
	"context"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
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

// streams are how many of them stay at once. By HTTP/1 each has two ends in the proxy.
func streams(t *testing.T, ends int) int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	n := min(crowd(), int(files.Cur)/ends-50)
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

// opened is a stream that has begun.
type opened struct {
	first string // line
	rest  *bufio.Reader
	io.Closer
}

// openStream begins a stream with a number, and returns when its first line has arrived.
func openStream(ctx context.Context, client *http.Client, url string, n int) (*opened, error) {
	body := strings.NewReader(`{"stream": true}`)
	req, _ := http.NewRequestWithContext(ctx, "POST", url+chat, body)
	req.Header.Set("X-Stream", strconv.Itoa(n))
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	rest := bufio.NewReaderSize(resp.Body, 16)
	line, err := rest.ReadString('\n')
	return &opened{strings.TrimSpace(line), rest, resp.Body}, err
}

// openMany begins n streams, each on a connection of its own.
func openMany(t *testing.T, url string, n int) []*opened {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	all := make([]*opened, n)
	var wg sync.WaitGroup
	dials := make(chan struct{}, 100) // no more, or the kernel's queue is full
	for i := range all {
		dials <- struct{}{}
		wg.Go(func() {
			defer func() { <-dials }()
			var err error
			if all[i], err = openStream(t.Context(), client, url, i); err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// Many streams at once all end whole. Each takes only the memory of its buffers, even after several
// rounds.
func TestManyStreams(t *testing.T) {
	t.Run("HTTP/1", func(t *testing.T) {
		n := streams(t, 2)
		manyStreams(t, begin(t, "api", ""), n, http.DefaultClient)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("a file of certificates can be named on Linux alone")
		}
		// All servers of httptest have the same certificate.
		s := httptest.NewTLSServer(nil)
		s.Close()
		file := filepath.Join(t.TempDir(), "certificate")
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("SSL_CERT_FILE", file)
		manyStreams(t, begin(t, "api by HTTP/2", ""), streams(t, 1), s.Client())
	})
}

// manyStreams goes through a proxy to an API that client can reach.
func manyStreams(t *testing.T, api *child, n int, client *http.Client) {
	p, rounds := begin(t, "proxy", api.url), 1
	if *long {
		rounds = 3
	}
	empty := p.report(t, true).bytes
	for range rounds {
		all := openMany(t, p.url, n)
		peak, kept := p.report(t, false).bytes, p.report(t, true).bytes
		t.Logf("%d streams: the proxy has %d MB, %d KiB for each after a collection", n, peak>>20,
			(kept-empty)/n>>10)
		if per := (peak - empty) / n; per > 160<<10 {
			t.Errorf("%d bytes for each stream", per)
		}
		resp, err := client.Get(api.url + "/end")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		for i, stream := range all {
			text, err := io.ReadAll(stream.rest)
			if err != nil || !strings.Contains(string(text), "[DONE]") {
				t.Fatalf("stream %d ended with %q, %v", i, text, err)
			}
			_ = stream.Close()
		}
	}
	t.Logf("the proxy has %d MB before all streams, and %d MB after them", empty>>20,
		p.report(t, true).bytes>>20)
}

// delays of aborts, from the client's end to that of the API's request.
type delays []time.Duration

func (d delays) String() string {
	slices.Sort(d)
	return fmt.Sprintf("half within %v, 99 %% within %v, all within %v, %d of %d later than 100ms",
		d[len(d)/2], d[len(d)*99/100], d[len(d)-1], d.late(), len(d))
}

func (d delays) late() (n int) {
	for _, one := range d {
		if one > 100*time.Millisecond {
			n++
		}
	}
	return n
}

// canceled waits until n requests have ended at the API. aborted are the times of the aborts.
func (c *child) canceled(t *testing.T, aborted []time.Time) delays {
	t.Helper()
	took := make(delays, len(aborted))
	for range aborted {
		line := c.next(t)
		i, _ := strconv.Atoi(line[1])
		at, _ := strconv.ParseInt(line[2], 10, 64)
		took[i] = time.Unix(0, at).Sub(aborted[i])
	}
	return took
}

// Clients that disconnect cancel their requests to the API, and leave no goroutine. Every second
// one calls the API directly, which shows the time of the machine.
func TestManyAborts(t *testing.T) {
	api := begin(t, "api", "")
	p := begin(t, "proxy", api.url)
	openMany(t, p.url, 1)[0].Close()
	api.canceled(t, make([]time.Time, 1))
	before := p.report(t, false).goroutines
	aborted := make([]time.Time, 2*crowd())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var wg sync.WaitGroup
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for i := range aborted {
		<-pace.C
		wg.Go(func() {
			stream, err := openStream(t.Context(), client, []string{api.url, p.url}[i%2], i)
			if err != nil {
				t.Errorf("stream %d: %v", i, err)
				return
			}
			aborted[i] = time.Now()
			_ = stream.Close()
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	all := api.canceled(t, aborted)
	var direct, through delays
	for i := range all {
		if i%2 == 0 {
			direct = append(direct, all[i])
		} else {
			through = append(through, all[i])
		}
	}
	t.Logf("aborts through the proxy: %v", through)
	t.Logf("aborts without it: %v", direct)
	if *long && through.late() > direct.late()+len(through)/1000 {
		t.Errorf("%d aborts through the proxy came later than 100ms", through.late())
	}
	p.settles(t, before)
}

// All clients may go at once.
func TestAbortsAtOnce(t *testing.T) {
	n := streams(t, 2)
	api := begin(t, "api", "")
	p := begin(t, "proxy", api.url)
	openMany(t, p.url, 1)[0].Close()
	api.canceled(t, make([]time.Time, 1))
	before := p.report(t, false).goroutines
	aborted := make([]time.Time, n)
	for i, stream := range openMany(t, p.url, n) {
		aborted[i] = time.Now()
		_ = stream.Close()
	}
	last := aborted[n-1].Sub(aborted[0])
	t.Logf("%d aborts within %v: %v", n, last, api.canceled(t, aborted))
	p.settles(t, before)
}

// settles waits until a process has no more goroutines than before.
func (c *child) settles(t *testing.T, before int) {
	t.Helper()
	now := 0
	for range 100 {
		if now = c.report(t, false).goroutines; now <= before {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", now, before)
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
