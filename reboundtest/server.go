package reboundtest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Server is an HTTP/1.1 server on a loopback address that meets its first request with the first
// of its steps, the second request with the second one, and so on; all requests after the end go
// like the last one.
//
// Each request has a connection of its own. On one that is kept open, Go's transport by itself
// repeats a request that gets no answer, and the script would be a step ahead of the test.
type Server struct {
	URL string // such as http://127.0.0.1:40123, without a slash at the end

	steps []Step

	mu       sync.Mutex
	requests []Request // guarded by mu
}

// Request is a request that a [Server] got.
type Request struct {
	Time   time.Time // when its header had arrived
	Method string
	URL    string // as in the request line: path and query
	Header http.Header
	Body   []byte
}

// NewServer starts a server that plays the given steps, or without any answers 200 to all, and
// stops it when the test t is over. A hanging step is cut off then.
func NewServer(t testing.TB, steps ...Step) *Server {
	t.Helper()
	if len(steps) == 0 {
		steps = []Step{Answer(http.StatusOK, "")}
	}
	s := &Server{steps: steps}
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	// One connection for each request: see Server.
	server.Config.SetKeepAlivesEnabled(false)
	server.Start()
	t.Cleanup(func() {
		cancel()
		server.Close()
	})
	s.URL = server.URL
	return s
}

// Requests returns the requests so far, in the order in which they were complete.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// serve plays the next step. It reads the request's body first, so that a step notices when
// the client leaves.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	body, _ := io.ReadAll(r.Body) // a client that leaves in the middle has sent what it has sent
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	s.requests = append(s.requests, Request{
		Time: now, Method: r.Method, URL: r.RequestURI, Header: r.Header.Clone(), Body: body,
	})
	step := s.steps[min(len(s.requests), len(s.steps))-1]
	s.mu.Unlock()
	step(w, r)
}
