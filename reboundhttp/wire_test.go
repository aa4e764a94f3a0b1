package reboundhttp

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/hedge"
)

// hasty is a server that drops a connection after reading the second request on it. A server that
// closes idle connections does this if the client uses one at that moment.
type hasty struct {
	net.Listener
	requests atomic.Int32
}

func startHasty(t *testing.T) *hasty {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hasty{Listener: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { h.serve(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return h
}

func (h *hasty) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for n := range 2 {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		h.requests.Add(1)
		if n == 0 {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
}

func (h *hasty) url() string { return "http://" + h.Addr().String() + "/" }

// Requests that net/http repeats by itself are counted, even if the response seems to be the first
// one, and also in a Base that wraps net/http.
func TestHiddenResendsAreCounted(t *testing.T) {
	tests := []struct {
		method, key string
		want        int // attempts of the second call
		end         string
		hedge       *hedge.Hedge
	}{
		{"GET", "", 2, "200", nil},
		{"GET", "", 2, "200", &hedge.Hedge{After: time.Hour}},
		{"POST", "k", 2, "200", nil},
		{"POST", "", 1, "not_idempotent", nil},
		{"PUT", "", 2, "200", nil}, // not by net/http, but by us
	}
	for _, tt := range tests {
		srv := startHasty(t)
		real := &http.Transport{}
		base := roundTripper(func(r *http.Request) (*http.Response, error) { return real.RoundTrip(r) })
		tr := &Transport{Base: base, Policy: quick(), Hedge: tt.hedge}
		for call := range 2 {
			req, err := http.NewRequest(tt.method, srv.url(), strings.NewReader("q"))
			if err != nil {
				t.Fatal(err)
			}
			if tt.key != "" {
				req.Header.Set("Idempotency-Key", tt.key)
			}
			before := srv.requests.Load()
			resp, err := tr.RoundTrip(req)
			if call == 0 {
				if outcome(resp, err) != "200" {
					t.Fatal(err)
				}
				read(t, resp)
				continue
			}
			got := 0
			if err == nil {
				got = CallOf(resp).Attempts
				read(t, resp)
			} else if e := (*rebound.Error)(nil); errors.As(err, &e) {
				got = e.Attempts
			}
			wire := int(srv.requests.Load() - before)
			if outcome(resp, err) != tt.end || got != tt.want || wire != tt.want {
				t.Errorf("%s: %s, %d attempts counted, %d on the wire; want %s and %d",
					tt.method, outcome(resp, err), got, wire, tt.end, tt.want)
			}
		}
		real.CloseIdleConnections()
	}
}

// TestTraceOnDemand: a trace is built when net/http reads it, however many responses came from
// elsewhere before. The caller's own trace still gets its calls.
func TestTraceOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		real := pipes(t, func(http.ResponseWriter, *http.Request) {})
		n, callers := 0, 0
		caching := roundTripper(func(req *http.Request) (*http.Response, error) {
			if n++; n <= 31 {
				return answer(req, 200, "cached"), nil
			}
			return real.RoundTrip(req)
		})
		tr := &Transport{Base: caching}
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { callers++ },
		})
		for i := range 32 {
			resp, err := tr.RoundTrip(request(t, "GET", "").WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			read(t, resp)
			if i == 31 {
				ctx = resp.Request.Context()
			} else if r := recordOf(resp); r != nil && r.conns.built.Load() != nil {
				t.Errorf("a trace was built for a Base that did not read it")
			}
		}
		if r, _ := ctx.Value(recordKey{}).(*record); r == nil || r.conns.built.Load() == nil {
			t.Error("no trace was built for net/http")
		}
		if callers != 1 {
			t.Errorf("the caller's trace got %d calls, want 1", callers)
		}
	})
}

func TestUnsentIsCertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// No connection is accepted: the attempt's time ends before there is one.
		var dials atomic.Int32
		end := make(chan struct{})
		defer close(end)
		base := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			<-end
			return nil, io.EOF
		}}
		p := seconds()
		p.AttemptTimeout = time.Second
		resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "POST", "q"))
		var e *rebound.Error
		if got := outcome(resp, err); got != "exhausted" || dials.Load() != 3 || !errors.As(err, &e) ||
			e.Fault.Sent != fault.NotSent {
			t.Errorf("%s after %d dials, %v; want exhausted after 3, not sent", got, dials.Load(), err)
		}
		isTimeout(t, err)

		// A custom classifier need not handle that.
		p = p.Clone()
		p.Classify = func(err error) fault.Fault { return fault.Fault{Kind: fault.Transient} }
		dials.Store(0)
		resp, err = (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "POST", "q"))
		if got := outcome(resp, err); got != "exhausted" || dials.Load() != 3 {
			t.Errorf("%s after %d dials, want exhausted after 3", got, dials.Load())
		}
	})
}

func TestProxies(t *testing.T) {
	const page = "<html><head><title>502</title></head><body>Bad gateway</body></html>"
	tests := []struct {
		scheme, method string
		code           int
		want           int // requests
		end            string
		kind           fault.Kind
	}{
		{"http", "GET", 502, 3, "502", fault.Transient},
		{"http", "POST", 502, 1, "502", fault.Transient},
		{"http", "GET", 407, 1, "407", fault.Permanent},
		// If a proxy refuses to connect, nothing was sent to the server.
		{"https", "POST", 502, 3, "exhausted", fault.Transient},
		{"https", "POST", 503, 3, "exhausted", fault.Overloaded},
		{"https", "GET", 407, 1, "not_retryable", fault.Permanent},
	}
	for _, tt := range tests {
		var n atomic.Int32
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(tt.code)
			io.WriteString(w, page)
		}))
		at, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		base := &http.Transport{Proxy: http.ProxyURL(at)}
		req := request(t, tt.method, "q")
		req.URL.Scheme = tt.scheme
		resp, err := (&Transport{Base: base, Policy: quick()}).RoundTrip(req)
		if got := outcome(resp, err); got != tt.end || int(n.Load()) != tt.want {
			t.Errorf("%s %s %d: %s, %v after %d requests, want %s after %d",
				tt.method, tt.scheme, tt.code, got, err, n.Load(), tt.end, tt.want)
		}
		if resp != nil {
			err = CallOf(resp).Err
			if got := read(t, resp); got != page {
				t.Errorf("the page is %q, want %q", got, page)
			}
		}
		var e *rebound.Error
		if !errors.As(err, &e) || e.Fault.Kind != tt.kind {
			t.Errorf("%s %d: %v, want %v", tt.scheme, tt.code, err, tt.kind)
		} else if strings.Contains(err.Error(), "<") {
			t.Errorf("the error quotes HTML: %v", err)
		}
		base.CloseIdleConnections()
		proxy.Close()
	}
}

func TestTLSErrorsArePermanent(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = nowhere
	secure.StartTLS()
	defer secure.Close()
	for _, tt := range []struct {
		url  string
		want func(error) bool
	}{
		{"https" + strings.TrimPrefix(plain.URL, "http"),
			func(err error) bool { return errors.Is(err, http.ErrSchemeMismatch) }},
		{secure.URL, func(err error) bool { return errors.As(err, new(x509.UnknownAuthorityError)) }},
	} {
		var dials atomic.Int32
		dialer := new(net.Dialer)
		base := &http.Transport{DialContext: func(ctx context.Context, n, a string) (net.Conn, error) {
			dials.Add(1)
			return dialer.DialContext(ctx, n, a)
		}}
		_, err := (&http.Client{Transport: &Transport{Base: base, Policy: quick()}}).Get(tt.url)
		var e *rebound.Error
		if !errors.As(err, &e) || e.Reason != rebound.NotRetryable || dials.Load() != 1 ||
			e.Fault.Kind != fault.Permanent || !tt.want(err) {
			t.Errorf("%s: %v after %d dials, want not retryable after 1", tt.url, err, dials.Load())
		}
	}
}

func TestHTTP2Resets(t *testing.T) {
	var n atomic.Int32
	handler := func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%3 != 0 {
			panic(http.ErrAbortHandler) // resets the stream
		}
		io.WriteString(w, r.Proto)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	client := &http.Client{Transport: &Transport{Base: srv.Client().Transport, Policy: quick()}}
	resp, err := client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, resp); got != "HTTP/2.0" || CallOf(resp).Attempts != 3 {
		t.Errorf("%q after %d attempts, want HTTP/2.0 after 3", got, CallOf(resp).Attempts)
	}
	_, err = client.Post(srv.URL, "text/plain", strings.NewReader("q"))
	if !errors.Is(err, rebound.NotIdempotent) || n.Load() != 4 {
		t.Errorf("a POST: %v, %d requests; want not idempotent, 4", err, n.Load())
	}
}

func TestConnectionRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	tr := &Transport{Policy: quick(), Base: &http.Transport{TLSClientConfig: &tls.Config{}}}
	_, err = (&http.Client{Transport: tr}).Post("http://"+l.Addr().String(), "text/plain",
		strings.NewReader("q"))
	var e *rebound.Error
	if !errors.As(err, &e) || e.Attempts != 3 || e.Fault.Sent != fault.NotSent {
		t.Errorf("%v: want 3 attempts, not sent", err)
	}
}

// A server for several names answers 421 to every request on a wrong connection. The next attempt
// uses another connection, whether the first is busy or not.
func TestMisdirected(t *testing.T) {
	for _, tt := range []struct {
		name     string
		h2, busy bool
		requests int32
	}{{"h1", false, false, 2}, {"h2", true, false, 2}, {"h2 busy", true, true, 3}} {
		t.Run(tt.name, func(t *testing.T) {
			var first atomic.Pointer[string]
			var requests atomic.Int32
			release := make(chan struct{})
			srv := httptest.NewUnstartedServer(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					first.CompareAndSwap(nil, &r.RemoteAddr)
					switch {
					case r.URL.Path == "/busy":
						w.(http.Flusher).Flush()
						<-release
						return
					case r.RemoteAddr == *first.Load():
						w.WriteHeader(http.StatusMisdirectedRequest)
					}
					requests.Add(1)
				}))
			srv.EnableHTTP2 = tt.h2
			srv.StartTLS()
			defer srv.Close()
			defer close(release)
			client := srv.Client()
			client.Transport = &Transport{Base: client.Transport,
				Policy: &rebound.Policy{Backoff: backoff.Constant(0)}}
			if tt.busy {
				resp, err := client.Get(srv.URL + "/busy")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
			}
			resp, err := client.Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != 200 || requests.Load() != tt.requests {
				t.Errorf("got %d after %d requests, want 200 after %d",
					resp.StatusCode, requests.Load(), tt.requests)
			}
		})
	}
}
