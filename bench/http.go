package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
)

// stub is a transport without a network. With flaky set it answers 503 and 200 in turn.
type stub struct {
	flaky bool
	hits  atomic.Int64
}

func (s *stub) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.hits.Add(1)%2 == 1 && s.flaky {
		return answer(r, 503, "503 Service Unavailable", "busy"), nil
	}
	return answer(r, 200, "200 OK", "ok"), nil
}

func answer(r *http.Request, code int, status, body string) *http.Response {
	return &http.Response{
		StatusCode: code, Status: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, ContentLength: int64(len(body)),
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}
}

// target is the destination of requests.
type target struct {
	transport   http.RoundTripper
	url         string
	hits, conns func() int64
	close       func()
}

func newTarget(scenario string) target {
	failing := strings.HasSuffix(scenario, "_503")
	if strings.HasPrefix(scenario, "http_stub") {
		s := &stub{flaky: failing}
		none := func() int64 { return 0 }
		return target{s, "http://example.test/", s.hits.Load, none, func() {}}
	}
	var hits, conns atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			if hits.Add(1)%2 == 1 && failing {
				w.WriteHeader(503)
				_, _ = io.WriteString(w, "busy")
				return
			}
			_, _ = io.WriteString(w, "ok")
		}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	t := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	return target{t, server.URL + "/", hits.Load, conns.Load, func() {
		t.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	}}
}

// get uses a client as programs do: it makes a request, reads the response, and closes it.
func get(ctx context.Context, do Doer, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := do(r)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return err
}
