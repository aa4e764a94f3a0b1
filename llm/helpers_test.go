package llm_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// reply is one answer of a service. Its body ends with end: nil = io.EOF.
type reply struct {
	status int // 0 = 200
	header http.Header
	body   string
	end    error
}

var (
	errReset = errors.New("connection reset by the test")
	errHang  = errors.New("silence until the context ends")
)

// stream is a reply of server-sent events.
func stream(events ...string) reply {
	return reply{
		header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}},
		body:   strings.Join(events, "\n\n") + "\n\n",
	}
}

func (r reply) with(end error) reply {
	r.end = end
	return r
}

func failing(status int, body string, header ...string) reply {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return reply{status: status, header: h, body: body}
}

// service is a transport that gives its replies in turn, the last one for ever.
type service struct {
	replies []reply

	mu     sync.Mutex
	calls  int
	closed int // bodies
	paths  []string
}

func (s *service) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = req.Body.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replies[min(s.calls, len(s.replies)-1)]
	s.calls++
	s.paths = append(s.paths, req.URL.Path)
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return &http.Response{
		StatusCode: r.status, Header: r.header.Clone(), Request: req, ContentLength: -1,
		Body: &replyBody{Reader: strings.NewReader(r.body), piece: 7 + len(r.body)/1000,
			end: r.end, ctx: req.Context(), s: s},
	}, nil
}

type replyBody struct {
	io.Reader
	piece int // bytes read at a time, across events
	end   error
	ctx   context.Context
	s     *service
	once  sync.Once
}

func (b *replyBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p[:min(len(p), b.piece)])
	if err != io.EOF || b.end == nil {
		return n, err
	}
	if b.end == errHang {
		<-b.ctx.Done()
		return n, context.Cause(b.ctx)
	}
	return n, b.end
}

func (b *replyBody) Close() error {
	b.once.Do(func() {
		b.s.mu.Lock()
		defer b.s.mu.Unlock()
		b.s.closed++
	})
	return nil
}

const chatPath = "/v1/chat/completions"

// post sends a request for a generation and reads the response.
func post(t *testing.T, client *http.Client, path string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://llm.example"+path,
		strings.NewReader(`{"stream": true}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}
