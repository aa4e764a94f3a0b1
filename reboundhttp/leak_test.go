package reboundhttp

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var nowhere = log.New(io.Discard, "", 0)

// eventually waits until ok, for at most ten seconds.
func eventually(ok func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
		if ok() {
			return true
		}
	}
	return ok()
}

// descriptors counts the files and sockets that are open; 0 where they cannot be counted.
func descriptors() int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(files)
}

// census counts a server's connections.
type census struct {
	made, open atomic.Int32
}

func (c *census) watch(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.made.Add(1)
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	}
}

// unsteady answers each request by its path, /SIZE/NUMBER: 503 with a body of that size first, and
// then 200. Of some it answers the first by breaking the connection.
func unsteady() http.Handler {
	var seen sync.Map
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		size, _ := strconv.Atoi(strings.Split(r.URL.Path, "/")[1])
		if _, again := seen.LoadOrStore(r.URL.Path, true); again {
			io.WriteString(w, "well")
			return
		}
		if size < 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write(make([]byte, size))
	})
}

func TestNothingLeaks(t *testing.T) {
	const calls, workers = 5000, 16
	// Nearly all bodies are short, as errors are; -1 breaks the connection.
	sizes := []int{0, 40, 40, 40, 3000, 40, 40, 0, 40, 40, 70_000, 40, -1, 40, 40, 40, 3000}
	for _, h2 := range []bool{false, true} {
		goroutines, files := runtime.NumGoroutine(), descriptors()
		var conns census
		srv := httptest.NewUnstartedServer(unsteady())
		srv.Config.ConnState = conns.watch
		srv.Config.ErrorLog = nowhere
		if srv.EnableHTTP2 = h2; h2 {
			srv.StartTLS()
		} else {
			srv.Start()
		}
		base := srv.Client().Transport.(*http.Transport)
		base.MaxIdleConnsPerHost = workers
		client := &http.Client{Transport: &Transport{Base: base, Policy: quick()}}

		var wg sync.WaitGroup
		var next, failed, repeated atomic.Int32
		for range workers {
			wg.Go(func() {
				for n := int(next.Add(1)); n <= calls; n = int(next.Add(1)) {
					url := srv.URL + "/" + strconv.Itoa(sizes[n%len(sizes)]) + "/" + strconv.Itoa(n)
					if attempts, err := put(client, url); err != nil || attempts < 2 {
						failed.Add(1)
					} else {
						repeated.Add(int32(attempts - 1))
					}
				}
			})
		}
		wg.Wait()
		if failed.Load() > 0 || repeated.Load() < calls {
			t.Errorf("HTTP/2 %v: %d of %d calls failed, %d repeats", h2, failed.Load(), calls,
				repeated.Load())
		}
		// A connection is dropped for each body that is too long to be drained, and for each break.
		// Meanwhile net/http may dial one that is not used.
		if limit := int32(2 * 2 * calls / len(sizes)); conns.made.Load() > limit {
			t.Errorf("%d connections for %d calls, want at most %d", conns.made.Load(), calls, limit)
		}
		client.CloseIdleConnections()
		if !eventually(func() bool { return conns.open.Load() == 0 }) {
			t.Errorf("HTTP/2 %v: %d connections of %d are open, want none", h2, conns.open.Load(),
				conns.made.Load())
		}
		srv.Close()
		if !eventually(func() bool { return runtime.NumGoroutine() <= goroutines }) {
			t.Errorf("HTTP/2 %v: %d goroutines, want %d as before", h2, runtime.NumGoroutine(),
				goroutines)
		}
		if !eventually(func() bool { return descriptors() <= files }) {
			t.Errorf("HTTP/2 %v: %d files open, want %d as before", h2, descriptors(), files)
		}
	}
}

// put makes a request with a body, in any way that bodies come, and reads the response.
func put(client *http.Client, url string) (attempts int, err error) {
	var body io.Reader = strings.NewReader("question")
	if strings.HasSuffix(url, "7") {
		body = io.MultiReader(body) // for which NewRequest sets no GetBody
	}
	req, err := http.NewRequest(http.MethodPut, url, body)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if string(answer) != "well" {
		err = errors.Join(err, errors.New("not well"))
	}
	return CallOf(resp).Attempts, err
}
