package reboundhttp

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/hedge"
)

// serve starts a server that speaks HTTP/1 or HTTP/2, and returns its client's transport.
func serve(t *testing.T, h2 bool, h http.Handler, c *census) (*httptest.Server, *http.Transport) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = nowhere
	srv.Config.ConnState = c.watch
	if srv.EnableHTTP2 = h2; h2 {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	base := srv.Client().Transport.(*http.Transport)
	base.MaxIdleConnsPerHost = 100
	return srv, base
}

// inOrder is a gate that admits a call's other attempts when its first has arrived at the server. A
// loaded machine could have delayed the first until then.
type inOrder struct {
	attempts atomic.Int32
	arrived  chan struct{}
}

func (g *inOrder) Enter(context.Context) (gate.Pass, error) {
	if g.attempts.Add(1) > 1 {
		<-g.arrived
	}
	return gate.Pass{}, nil
}

func (g *inOrder) Leave(gate.Pass, gate.Outcome) {}

// The winner's body is read long after the others have ended, at the server, too.
func TestHedgedStreams(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		goroutines := runtime.NumGoroutine()
		var n atomic.Int32
		lost, rest := make(chan struct{}), make(chan struct{})
		order := &inOrder{arrived: make(chan struct{})}
		var conns census
		srv, base := serve(t, h2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				close(order.arrived)
				<-r.Context().Done()
				close(lost)
				return
			}
			io.WriteString(w, "begin ")
			w.(http.Flusher).Flush()
			<-rest
			io.WriteString(w, strings.Repeat("x", 100_000))
		}), &conns)
		client := &http.Client{Transport: &Transport{
			Base: base, FirstByteTimeout: time.Minute, Hedge: after100(1),
			Policy: &rebound.Policy{Gates: []gate.Gate{order}},
		}}
		resp, err := client.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		<-lost
		close(rest)
		if got := read(t, resp); len(got) != 100_006 || !strings.HasPrefix(got, "begin x") {
			t.Errorf("HTTP/2 %v: a body of %d bytes", h2, len(got))
		}
		if call := CallOf(resp); call.Attempts != 2 || call.Hedges != 1 || !call.HedgeWon {
			t.Errorf("HTTP/2 %v: %+v", h2, call)
		}
		client.CloseIdleConnections()
		srv.Close()
		if !eventually(func() bool { return runtime.NumGoroutine() <= goroutines }) {
			t.Errorf("HTTP/2 %v: %d goroutines, want %d", h2, runtime.NumGoroutine(), goroutines)
		}
	}
}

// uneven answers with the body it was sent, or after 40 ms with some chance, or with 503, or not.
func uneven() http.Handler {
	var n atomic.Int32
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // lost
		}
		switch i := n.Add(1); {
		case i%17 == 0:
			select {
			case <-time.After(40 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		case i%51 == 1:
			panic(http.ErrAbortHandler)
		case i%53 == 2:
			w.WriteHeader(http.StatusInternalServerError)
			w.Write(make([]byte, 3000))
			return
		}
		if string(body) == "question" {
			io.WriteString(w, "well")
		}
	})
}

func TestHedgesLeakNothing(t *testing.T) {
	const calls, workers = 2000, 8
	for _, h2 := range []bool{false, true} {
		goroutines, files := runtime.NumGoroutine(), descriptors()
		var conns census
		srv, base := serve(t, h2, uneven(), &conns)
		h := &hedge.Hedge{After: 5 * time.Millisecond, Max: 2, Budget: budget.Unlimited}
		// One request in 26 fails, and the scheduler decides which call makes it. So one of 4000 calls
		// could fail 3 times in a row. For 8 times the probability is below 1e-7.
		p := quick()
		p.Attempts = 8
		client := &http.Client{Transport: &Transport{
			Base: base, Policy: p, Hedge: h, FirstByteTimeout: 10 * time.Second,
		}}
		var wg sync.WaitGroup
		var next, failed atomic.Int32
		for range workers {
			wg.Go(func() {
				for n := int(next.Add(1)); n <= calls; n = int(next.Add(1)) {
					if _, err := put(client, srv.URL+"/"+strconv.Itoa(n)); err != nil {
						failed.Add(1)
						t.Log(err)
					}
				}
			})
		}
		wg.Wait()
		if s := h.Snapshot(); failed.Load() > 0 || s.Won == 0 {
			t.Errorf("HTTP/2 %v: %d of %d calls failed; %+v", h2, failed.Load(), calls, s)
		}
		// A stream that lost may need a moment until it leaves its connection idle.
		if !eventually(func() bool { client.CloseIdleConnections(); return conns.open.Load() == 0 }) {
			t.Errorf("HTTP/2 %v: %d connections are open", h2, conns.open.Load())
		}
		srv.Close()
		if !eventually(func() bool { return runtime.NumGoroutine() <= goroutines }) {
			t.Errorf("HTTP/2 %v: %d goroutines, want %d", h2, runtime.NumGoroutine(), goroutines)
		}
		if !eventually(func() bool { return descriptors() <= files }) {
			t.Errorf("HTTP/2 %v: %d files open, want %d", h2, descriptors(), files)
		}
	}
}

// slowServer answers one request of each hundred, or all of them, after 1.5 s.
type slowServer struct {
	n   atomic.Int32
	all bool
}

func (s *slowServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.n.Add(1)%100 == 50 || s.all {
		select {
		case <-time.After(1500 * time.Millisecond):
		case <-r.Context().Done():
		}
	}
}

// load sends requests, some workers at a time, and returns the 99th percentile of their times, and
// the requests that the server has got per call.
func (s *slowServer) load(t *testing.T, tr http.RoundTripper, url string, workers, calls int) (
	p99 time.Duration, cost float64,
) {
	times := make([]time.Duration, workers*calls)
	client := &http.Client{Transport: tr}
	before := s.n.Load()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range calls {
				start := time.Now()
				resp, err := client.Get(url)
				if err != nil {
					t.Error(err)
					return
				}
				read(t, resp)
				times[w*calls+i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	slices.Sort(times)
	return times[len(times)*99/100], float64(s.n.Load()-before) / float64(len(times))
}

// With a real server that is slow once in a hundred answers, hedges at least halve the 99th
// percentile. They cost a twentieth more requests, and the ten that the hedge's budget holds. If
// all answers are slow, the server gets at most a tenth more requests.
func TestHedgesCutTheTail(t *testing.T) {
	const workers, calls = 8, 150
	s := &slowServer{}
	srv, base := serve(t, false, s, new(census))
	h := &hedge.Hedge{}
	plain, _ := s.load(t, &Transport{Base: base}, srv.URL, workers, calls)
	hedged, cost := s.load(t, &Transport{Base: base, Hedge: h}, srv.URL, workers, calls)
	t.Logf("p99 %v, and %v with %.3f requests a call", plain, hedged, cost)
	if hedged > plain/2 || cost > 1.05+10./(workers*calls) {
		t.Errorf("p99 %v for %.3f requests a call, %v without hedges", hedged, cost, plain)
	}
	slow := &slowServer{all: true}
	srv, base = serve(t, false, slow, new(census))
	_, cost = slow.load(t, &Transport{Base: base, Hedge: h}, srv.URL, 100, 2)
	t.Logf("%.3f requests a call when all answers are slow", cost)
	if cost > 1.1 {
		t.Errorf("%.3f requests a call", cost)
	}
}
