package reboundhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
)

// step is what a scripted Base does with one attempt.
type step func(*http.Request) (*http.Response, error)

// script is a Base that plays its steps in turn, the last one for ever. It records the requests,
// and whether responses were closed. It reads and closes bodies as a RoundTripper must.
type script struct {
	steps []step

	mu     sync.Mutex
	sent   []sent
	open   int // responses' bodies not closed
	closed int
}

type sent struct {
	at     time.Time
	method string
	body   string
	header http.Header
}

func play(steps ...step) *script { return &script{steps: steps} }

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		req.Body.Close()
	}
	s.mu.Lock()
	n := len(s.sent)
	s.sent = append(s.sent, sent{time.Now(), req.Method, string(body), req.Header.Clone()})
	s.mu.Unlock()
	resp, err := s.steps[min(n, len(s.steps)-1)](req)
	if resp != nil {
		s.mu.Lock()
		s.open++
		s.mu.Unlock()
		resp.Body = &trackedBody{resp.Body, s, false}
	}
	return resp, err
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

// gaps are the times between the attempts.
func (s *script) gaps() (gaps []time.Duration) {
	for i := 1; i < len(s.sent); i++ {
		gaps = append(gaps, s.sent[i].at.Sub(s.sent[i-1].at))
	}
	return gaps
}

type trackedBody struct {
	io.ReadCloser
	s    *script
	done bool
}

func (b *trackedBody) Close() error {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if !b.done {
		b.done = true
		b.s.open--
		b.s.closed++
	}
	return b.ReadCloser.Close()
}

// status answers with a status, a body that names it, and headers given as key, value, …
func status(code int, header ...string) step {
	return func(req *http.Request) (*http.Response, error) {
		resp := answer(req, code, "body of "+strconv.Itoa(code))
		for i := 0; i < len(header); i += 2 {
			resp.Header.Set(header[i], header[i+1])
		}
		return resp, nil
	}
}

// fails answers with an error.
func fails(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// hangs answers when the request's context ends, with its cause, as net/http does.
func hangs(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}

func request(t testing.TB, method, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, "http://example.test/x", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// once is a request whose body has no GetBody.
func once(t testing.TB, method string, body io.Reader) *http.Request {
	t.Helper()
	req := request(t, method, "")
	req.Body, req.GetBody = io.NopCloser(body), nil
	if c, ok := body.(io.ReadCloser); ok {
		req.Body = c
	}
	return req
}

// outcome is the result of a RoundTrip in short: "200", or the reason of its error.
func outcome(resp *http.Response, err error) string {
	var reason rebound.Reason
	switch {
	case err == nil && resp == nil:
		return "nothing"
	case err == nil:
		return strconv.Itoa(resp.StatusCode)
	case resp != nil:
		return "both"
	case errors.As(err, &reason):
		return string(reason)
	}
	return fmt.Sprintf("%T", err)
}

func read(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("reading the body: %v", err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Errorf("closing the body: %v", err)
	}
	return string(b)
}

// seconds waits 1s, 2s, 4s … without jitter.
func seconds() *rebound.Policy {
	return &rebound.Policy{
		Backoff: backoff.Exponential{Base: time.Second, Factor: 2, Jitter: backoff.None()},
		Throttled: backoff.Exponential{
			Base: 10 * time.Second, Factor: 2, Jitter: backoff.None(),
		},
	}
}
