package http_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundhttp"
)

// reply is how a raw server handles a request. It returns whether the connection continues.
type reply func(f *http2.Framer, stream uint32) bool

// raw is an HTTP/2 server that answers each request with a given list of frames. It repeats the
// last reply for ever.
type raw struct {
	*pipe
	replies []reply

	mu       sync.Mutex
	requests int
	open     []io.Closer
	wg       sync.WaitGroup
}

// serveRaw returns the server and a transport that uses HTTP/2 with it.
func serveRaw(t *testing.T, replies ...reply) (*raw, *http.Transport) {
	s := &raw{pipe: newPipe(), replies: replies}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := s.Accept()
			if err != nil {
				return
			}
			s.open = append(s.open, conn)
			out := make(chan []byte, 100)
			s.wg.Go(func() {
				s.speak(conn, out)
				close(out)
				io.Copy(io.Discard, conn) // until it is closed, as a socket would take it
			})
			s.wg.Go(func() {
				defer conn.Close()
				for b := range out {
					if _, err := conn.Write(b); err != nil {
						return
					}
				}
			})
		}
	})
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	base := &http.Transport{DialContext: s.dial, Protocols: only}
	t.Cleanup(func() {
		s.Close()
		accepting.Wait()
		for _, conn := range s.open {
			conn.Close()
		}
		s.wg.Wait()
	})
	return s, base
}

// queue is a writer that does not wait for its reader, as a pipe does.
type queue chan<- []byte

func (q queue) Write(b []byte) (int, error) {
	select {
	case q <- bytes.Clone(b):
		return len(b), nil
	default:
		return 0, io.ErrShortWrite
	}
}

func (s *raw) speak(conn io.Reader, out queue) {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	f := http2.NewFramer(out, conn)
	if f.WriteSettings() != nil {
		return
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() && f.WriteSettingsAck() != nil {
				return
			}
		case *http2.HeadersFrame, *http2.DataFrame:
			if h := frame.Header(); h.Flags.Has(http2.FlagDataEndStream) &&
				!s.next()(f, h.StreamID) {
				return
			}
		case *http2.GoAwayFrame:
			return
		}
	}
}

func (s *raw) next() reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return s.replies[min(s.requests, len(s.replies))-1]
}

func (s *raw) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func ok(f *http2.Framer, stream uint32) bool {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	if enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"}) != nil {
		return false
	}
	return f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true,
	}) == nil
}

func rst(code http2.ErrCode) reply {
	return func(f *http2.Framer, stream uint32) bool { return f.WriteRSTStream(stream, code) == nil }
}

// goAway announces that streams up to this one, or none at all, may have been processed.
func goAway(code http2.ErrCode, thisOne bool) reply {
	return func(f *http2.Framer, stream uint32) bool {
		last := uint32(0)
		if thisOne {
			last = stream
		}
		_ = f.WriteGoAway(last, code, nil)
		return false
	}
}

func TestHTTP2Failures(t *testing.T) {
	tests := []struct {
		name   string
		method string
		bad    reply
		want   int // requests, when every one but the third fails
		reason rebound.Reason
		kind   fault.Kind
	}{
		// net/http itself sends these again, and its requests are counted.
		{"refused", "GET", rst(http2.ErrCodeRefusedStream), 3, "", 0},
		{"refused", "POST", rst(http2.ErrCodeRefusedStream), 3, "", 0},
		{"going away", "POST", goAway(http2.ErrCodeNo, false), 3, "", 0},

		{"reset", "GET", rst(http2.ErrCodeInternal), 3, "", 0},
		{"reset", "POST", rst(http2.ErrCodeInternal), 1, rebound.NotIdempotent, fault.Transient},
		{"canceled", "GET", rst(http2.ErrCodeCancel), 3, "", 0},
		{"canceled", "POST", rst(http2.ErrCodeCancel), 1, rebound.NotIdempotent, fault.Transient},
		{"gone away", "GET", goAway(http2.ErrCodeNo, true), 3, "", 0},
		{"gone away", "POST", goAway(http2.ErrCodeNo, true), 1, rebound.NotIdempotent, fault.Transient},
		{"calm", "GET", rst(http2.ErrCodeEnhanceYourCalm), 3, "", 0},
		{"calm", "POST", rst(http2.ErrCodeEnhanceYourCalm), 1, rebound.NotIdempotent,
			fault.Overloaded},
		{"calm down", "POST", goAway(http2.ErrCodeEnhanceYourCalm, true), 1, rebound.NotIdempotent,
			fault.Overloaded},
		{"needs HTTP/1.1", "GET", rst(http2.ErrCodeHTTP11Required), 1, rebound.NotRetryable,
			fault.Permanent},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			srv, base := serveRaw(t, tt.bad, tt.bad, ok)
			req, err := http.NewRequest(tt.method, "http://api.test/", strings.NewReader("q"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&reboundhttp.Transport{Base: base}).RoundTrip(req)
			attempts, reason := outcomeOf(resp, err)
			if attempts != tt.want || srv.count() != tt.want || reason != tt.reason {
				t.Errorf("%s %s: got %d attempts and %q, saw %d; want %d and %q (%v)",
					tt.method, tt.name, attempts, reason, srv.count(), tt.want, tt.reason, err)
			}
			var e *rebound.Error
			if errors.As(err, &e) && e.Fault.Kind != tt.kind {
				t.Errorf("%s %s: %+v, want %v", tt.method, tt.name, e.Fault, tt.kind)
			}
			if resp != nil {
				resp.Body.Close()
			}
		})
	}
}

// If a server refuses every stream, net/http retries for a minute. The Transport does not multiply
// these retries, and reports them as they were.
func TestHTTP2RefusedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, base := serveRaw(t, rst(http2.ErrCodeRefusedStream))
		// The body has no GetBody, without which net/http could not send it again.
		req, err := http.NewRequest("POST", "http://api.test/", io.MultiReader(strings.NewReader("q")))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		resp, err := (&reboundhttp.Transport{Base: base}).RoundTrip(req)
		attempts, reason := outcomeOf(resp, err)
		if attempts != 8 || srv.count() != 8 || reason != rebound.AlreadyRetried {
			t.Errorf("got %d attempts and %q, saw %d; want 8, already retried (%v)",
				attempts, reason, srv.count(), err)
		}
		if took := time.Since(start); took < time.Minute || took > 80*time.Second {
			t.Errorf("took %v, want net/http's 63s and a little", took)
		}

		// FirstByteTimeout limits that, too.
		tr := &reboundhttp.Transport{Base: base, FirstByteTimeout: 2 * time.Second}
		start = time.Now()
		req, _ = http.NewRequest("GET", "http://api.test/", nil)
		_, err = tr.RoundTrip(req)
		if took := time.Since(start); took > 10*time.Second || !fault.IsTimeout(err) {
			t.Errorf("%v after %v, want a timeout within 10s", err, took)
		}
	})
}
