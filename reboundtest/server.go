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

// Server is an HTTP/1.1 server on a loopback address. It handles its first request with the first
// of its steps, the second request with the second step, and so on. The last step handles all
// further requests.
//
// Each request has its own connection. On a connection that is kept open, Go's transport itself
// repeats a request that was not answered, and each repetition would use up a step.
type Server struct {
	// URL is the server's base URL, such as http://127.0.0.1:40123, without a slash at the end.
	URL string

	steps []Step

	mu       sync.Mutex
	requests []Request // guarded by mu
}

// Request is a request that a [Server] has received.
type Request struct {
	// Time is the time when the header had arrived.
	Time   time.Time
	Method string

	// URL is the path and the query, as in the request line.
	URL    string
	Header http.Header

	// Body is the part of the body that the client has sent.
	Body []byte
}

// NewServer starts a server that plays the given steps. Without steps it answers every request with
// 200. The server stops when the test t ends, even during a step that hangs.
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

// Requests returns the requests so far, in the order in which their bodies were complete.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// serve plays the next step. It reads the request's body first, so that a step notices when the
// client disconnects.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	body, _ := io.ReadAll(r.Body) // a client may disconnect in the middle
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	s.requests = append(s.requests, Request{
		Time: now, Method: r.Method, URL: r.RequestURI, Header: r.Header.Clone(), Body: body,
	})
	// The last step serves all further requests.
	step := s.steps[min(len(s.requests), len(s.steps))-1]
	s.mu.Unlock()
	step(w, r)
}
