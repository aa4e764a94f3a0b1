package reboundhttp

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
)

// slowBody gives one byte after each wait, for ever.
type slowBody struct {
	wait  func()
	reads atomic.Int32
}

func (b *slowBody) Read(p []byte) (int, error) {
	b.reads.Add(1)
	b.wait()
	return copy(p, "x"), nil
}

// seen is a policy whose classifier reads bodies.
func seen() *rebound.Policy {
	p := seconds()
	p.Observe = func(context.Context, rebound.Event) {}
	return p
}

// TestReadAheadLastsASecond, whatever the type of the body, plus at most one Read.
func TestReadAheadLastsASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"plain":       func(r io.Reader) io.Reader { return r },
			"io.WriterTo": func(r io.Reader) io.Reader { return bufio.NewReaderSize(r, 16) },
		} {
			var bodies []*slowBody
			base := roundTripper(func(req *http.Request) (*http.Response, error) {
				b := &slowBody{wait: func() { time.Sleep(400 * time.Millisecond) }}
				bodies = append(bodies, b)
				resp := answer(req, 500, "")
				resp.Body = io.NopCloser(wrap(b))
				return resp, nil
			})
			p := seen()
			p.Attempts = 2
			start := time.Now()
			resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "GET", ""))
			if err != nil || len(bodies) != 2 || time.Since(start) != 3*time.Second {
				t.Errorf("%s: %v, %d attempts in %v, want 2 in 3s",
					name, err, len(bodies), time.Since(start))
			}
			time.Sleep(time.Minute)
			for i, b := range bodies {
				if n := b.reads.Load(); n > 3 {
					t.Errorf("%s: body %d was read %d times in a second", name, i, n)
				}
			}
			resp.Body.Close()
		}
	})
}

var errDisk = errors.New("disk gone")

// halfBody is a request's body whose Read fails in the middle.
func halfBody() io.ReadCloser {
	return io.NopCloser(io.MultiReader(strings.NewReader("half"), failing{errDisk}))
}

// TestBodyThatCannotBeRead: this is not a failure of the server, so the request is not repeated.
func TestBodyThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var whole atomic.Int32
		base := pipes(t, func(_ http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err == nil {
				whole.Add(1)
			}
		})
		for _, again := range []bool{false, true} {
			for _, length := range []int64{-1, 100} {
				req := request(t, "PUT", "")
				req.Body, req.GetBody, req.ContentLength = halfBody(), nil, length
				got := 0
				if again {
					req.GetBody = func() (io.ReadCloser, error) { got++; return halfBody(), nil }
				}
				resp, err := (&Transport{Base: base, Policy: seconds()}).RoundTrip(req)
				var e *rebound.Error
				if !errors.As(err, &e) || e.Attempts != 1 || e.Reason != rebound.NotRetryable ||
					!errors.Is(err, errDisk) || !strings.Contains(err.Error(), "request's body") {
					t.Errorf("GetBody %v: %v, %v; want disk gone after 1 attempt", again, resp, err)
				}
				if whole.Load() != 0 || got != 0 {
					t.Errorf("%d whole requests arrived, %d bodies were opened", whole.Load(), got)
				}
			}
		}
	})
}

// TestBodyClosedByNetHTTP: the error of a body's Read after its Close is not the cause of the
// failure.
func TestBodyClosedByNetHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened []*io.PipeReader
		open := func() (io.ReadCloser, error) {
			r, _ := io.Pipe() // nothing is written; Read fails once it is closed
			opened = append(opened, r)
			return r, nil
		}
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			if len(opened) > 1 {
				return answer(req, 200, ""), nil
			}
			go func() {
				time.Sleep(time.Second)
				req.Body.Close()
			}()
			_, err := req.Body.Read(make([]byte, 1))
			return nil, errors.Join(io.ErrUnexpectedEOF, err)
		})
		req := request(t, "PUT", "")
		req.Body, _ = open()
		req.GetBody = open
		resp, err := (&Transport{Base: base, Policy: seconds()}).RoundTrip(req)
		if got := outcome(resp, err); got != "200" || len(opened) != 2 {
			t.Errorf("%s (%v) after %d bodies, want 200 after 2", got, err, len(opened))
		}
	})
}

// TestCompressedErrors: an error's Body is readable, and the response is as it came.
func TestCompressedErrors(t *testing.T) {
	zip := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, text)
		w.Close()
		return b.String()
	}
	long := strings.Repeat("a", 1<<20)
	for _, tt := range []struct{ encoding, body, want string }{
		{"gzip", zip("quota"), "quota"},
		{"GZIP", zip("quota"), "quota"},
		{"x-gzip", zip("quota"), "quota"},
		{"", "quota", "quota"},
		{"identity", "quota", "quota"},
		{"gzip", "no gzip at all", "no gzip at all"},
		{"gzip", "", ""},
		{"gzip", zip(long), long[:aheadBytes]},
		{"gzip", zip("quota")[:len(zip("quota"))-6], "quota"},
		{"br", "opaque", "opaque"},
	} {
		base := play(status(429, "Content-Encoding", tt.encoding))
		base.steps[0] = func(req *http.Request) (*http.Response, error) {
			resp := answer(req, 429, tt.body)
			resp.Header.Set("Content-Encoding", tt.encoding)
			return resp, nil
		}
		var got []byte
		p := &rebound.Policy{Attempts: 1, Classify: func(err error) fault.Fault {
			var e *StatusError
			if errors.As(err, &e) {
				got = e.Body
			}
			return fault.Of(err)
		}}
		resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != tt.want {
			t.Errorf("%s: Body is %.20q, want %.20q", tt.encoding, got, tt.want)
		}
		if raw := read(t, resp); raw != tt.body ||
			resp.Header.Get("Content-Encoding") != tt.encoding {
			t.Errorf("%s: the response was changed", tt.encoding)
		}
	}
}

// TestGarbageAfterTheRequest: a POST that was carried out is not sent again because the answer is
// no TLS record, whatever RetryIf allows.
func TestGarbageAfterTheRequest(t *testing.T) {
	for name, garbage := range map[string]string{
		"HTTP":       "HTTP/1.1 200 OK\r\n\r\n",
		"bad record": "\x17\x03\x03\x00\x20" + strings.Repeat("x", 32),
		"alert":      "\x15\x03\x03\x00\x02\x02\x28",
		"version":    "\x17\x01\x01\x00\x20" + strings.Repeat("x", 32),
		"oversized":  "\x17\x03\x03\xff\xff" + strings.Repeat("x", 32),
	} {
		var done atomic.Int32
		srv := httptest.NewUnstartedServer(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				done.Add(1)
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				raw := conn.(interface{ NetConn() net.Conn }).NetConn()
				io.WriteString(raw, garbage)
				raw.Close()
			}))
		srv.StartTLS()
		p := &rebound.Policy{
			Backoff: backoff.Constant(0),
			RetryIf: func(f fault.Fault) bool { return true },
		}
		tr := &Transport{Base: srv.Client().Transport, Policy: p}
		req, _ := http.NewRequest("POST", srv.URL, strings.NewReader("pay"))
		resp, err := tr.RoundTrip(req)
		if err == nil || done.Load() != 1 {
			t.Errorf("%s: %v, %v; carried out %d times, want 1", name, resp, err, done.Load())
		}
		srv.Close()
	}
}

// TestBaseWithASecondWay: net/http had no connection, but Base had sent the request in another way
// before. A POST is not sent again.
func TestBaseWithASecondWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		defer close(end)
		real := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			<-end
			return nil, io.EOF
		}}
		sent := 0
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			sent++
			return real.RoundTrip(req)
		})
		p := seconds()
		p.AttemptTimeout = time.Second
		resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "POST", "pay"))
		if got := outcome(resp, err); got != "not_idempotent" || sent != 1 {
			t.Errorf("%s after the POST was sent %d times, want not_idempotent and 1", got, sent)
		}
	})
}

// TestLimitsEnd: the context and the timers of an attempt end with its error or its body.
func TestLimitsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fails := range []bool{true, false} {
			var ctx context.Context
			base := roundTripper(func(req *http.Request) (*http.Response, error) {
				ctx = req.Context()
				if fails {
					return nil, io.ErrUnexpectedEOF
				}
				return answer(req, 200, "ok"), nil
			})
			p := &rebound.Policy{Attempts: 1, AttemptTimeout: time.Minute}
			tr := &Transport{Base: base, Policy: p, FirstByteTimeout: time.Second}
			resp, err := tr.RoundTrip(request(t, "GET", ""))
			l := ctx.(*limits)
			if !fails {
				if err != nil || ctx.Err() != nil {
					t.Fatalf("%v, %v before the body was closed", err, ctx.Err())
				}
				resp.Body.Close()
			}
			if ctx.Err() == nil {
				t.Errorf("fails %v: the attempt has ended, but its context has not", fails)
			}
			if l.whole.Stop() || l.header.Stop() {
				t.Errorf("fails %v: the attempt has ended, but a timer is running", fails)
			}
		}
	})
}
