package reboundhttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
)

func TestBodyWithoutGetBody(t *testing.T) {
	tests := []struct {
		name  string
		size  int
		limit int64
		known bool // the request has a ContentLength
		first step
		want  string
		count int
	}{
		{"kept", 100, 100, false, status(500), "200", 2},
		{"kept, length known", 100, 100, true, status(500), "200", 2},
		{"too long", 101, 100, false, status(500), "500", 1},
		{"too long, length known", 101, 100, true, status(500), "500", 1},
		{"too long, broken", 101, 100, false, fails(broken), "not_retryable", 1},
		{"too long, marked", 101, 100, false, fails(rebound.Transient(broken)), "not_retryable", 1},
		{"default limit", 1 << 20, 0, false, status(500), "200", 2},
		{"over the default limit", 1<<20 + 1, 0, false, status(500), "500", 1},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			base := play(tt.first, status(200))
			body := strings.Repeat("x", tt.size)
			src := &closing{Reader: strings.NewReader(body)}
			req := once(t, "PUT", src)
			if req.ContentLength = -1; tt.known {
				req.ContentLength = int64(tt.size)
			}
			length := req.ContentLength
			resp, err := (&Transport{Base: base, MaxBuffer: tt.limit}).RoundTrip(req)
			if got := outcome(resp, err); got != tt.want || base.count() != tt.count {
				t.Errorf("%s: %s after %d attempts, want %s after %d",
					tt.name, got, base.count(), tt.want, tt.count)
			}
			for i, s := range base.sent {
				if s.body != body {
					t.Errorf("%s: attempt %d sent %d bytes, want %d", tt.name, i+1, len(s.body), tt.size)
				}
			}
			if src.closed != 1 || req.Body != io.ReadCloser(src) || req.GetBody != nil ||
				req.ContentLength != length {
				t.Errorf("%s: the body was closed %d times, or the request changed", tt.name, src.closed)
			}
			if resp != nil && tt.count == 1 && resp.Header.Get("X-Should-Retry") != "" {
				t.Errorf("%s: marked as given up, though it was never repeated", tt.name)
			}
		})
	}
}

// A refused connection uses nothing of the body, however long that is.
func TestUnsentBodyIsNeverSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			if n++; n < 3 {
				req.Body.Close()
				return nil, refused
			}
			body, err := io.ReadAll(req.Body)
			req.Body.Close()
			if len(body) != 5000 || err != nil {
				t.Errorf("got %d bytes, %v, want 5000", len(body), err)
			}
			return answer(req, 200, ""), nil
		})
		req := once(t, "POST", bytes.NewReader(make([]byte, 5000)))
		req.ContentLength = 5000
		resp, err := (&Transport{Base: base, MaxBuffer: 1}).RoundTrip(req)
		if got := outcome(resp, err); got != "200" {
			t.Errorf("got %s, want 200", got)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A Base may still read and close a request's body after RoundTrip has returned. This must not
// affect the next attempt's reader, or race with it.
func TestReadersLinger(t *testing.T) {
	body := strings.Repeat("0123456789", 10_000)
	for _, getBody := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var wg sync.WaitGroup
			defer wg.Wait()
			n := 0
			base := roundTripper(func(req *http.Request) (*http.Response, error) {
				if n++; n < 3 {
					wg.Go(func() {
						io.Copy(io.Discard, io.LimitReader(req.Body, 70_000))
						req.Body.Close()
					})
					return answer(req, 500, "early"), nil
				}
				got, err := io.ReadAll(req.Body)
				req.Body.Close()
				if string(got) != body || err != nil {
					t.Errorf("the third attempt got %d bytes, %v, want %d", len(got), err, len(body))
				}
				return answer(req, 200, ""), nil
			})
			req := request(t, "PUT", body)
			if !getBody {
				req = once(t, "PUT", strings.NewReader(body))
			}
			resp, err := (&Transport{Base: base, Policy: quick()}).RoundTrip(req)
			if got := outcome(resp, err); got != "200" {
				t.Errorf("got %s, want 200", got)
			}
		})
	}
}

// If the server answers while the body is still being written, RoundTrip does not wait for the
// body. It is closed when the writing ends.
func TestBodyIsSentAsItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		sent := make(chan string, 1)
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			b := make([]byte, 5)
			io.ReadFull(req.Body, b)
			sent <- string(b)
			go func() {
				io.Copy(io.Discard, req.Body)
				req.Body.Close()
			}()
			return answer(req, 200, ""), nil
		})
		go w.Write([]byte("first"))
		resp, err := (&Transport{Base: base}).RoundTrip(once(t, "PUT", r))
		if got := outcome(resp, err); got != "200" || <-sent != "first" {
			t.Errorf("got %s, want 200 after the first word", got)
		}
		if _, err := w.Write([]byte("second")); err != nil {
			t.Errorf("the body was closed while it was sent: %v", err)
		}
		w.Close()
		synctest.Wait()
		if _, err := r.Read(make([]byte, 1)); err != io.ErrClosedPipe {
			t.Errorf("after the end: %v, want the body closed", err)
		}
	})
}

func TestBodyThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("disk on fire")
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			_, err := io.ReadAll(req.Body)
			req.Body.Close()
			return nil, err
		})
		src := &closing{Reader: io.MultiReader(strings.NewReader("ab"), failing{lost})}
		_, err := (&Transport{Base: base}).RoundTrip(once(t, "PUT", src))
		if !errors.Is(err, lost) || src.closed != 1 {
			t.Errorf("%v, closed %d times: want %v, once", err, src.closed, lost)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// No two attempts share a reader: each reads all of the body, at its own pace.
func TestReplayReaders(t *testing.T) {
	body := make([]byte, 300_000)
	for i := range body {
		body[i] = byte(i * 7 >> 3)
	}
	req := once(t, "PUT", &closing{Reader: bytes.NewReader(body)})
	r := newReplay(req, int64(len(body)))
	var wg sync.WaitGroup
	var whole atomic.Int32
	for i := range 4 {
		v, err := r.open()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			var got bytes.Buffer
			if _, err := io.CopyBuffer(&got, v, make([]byte, 700+i*999)); err == nil &&
				bytes.Equal(got.Bytes(), body) {
				whole.Add(1)
			}
			v.Close()
		})
	}
	wg.Wait()
	r.finish()
	src := req.Body.(*closing)
	if whole.Load() != 4 || src.closed != 1 {
		t.Errorf("%d of 4 readers got all; closed %d times, want once", whole.Load(), src.closed)
	}
	v, _ := r.open()
	v.Close()
	if _, err := v.Read(make([]byte, 1)); err == nil {
		t.Error("a closed reader can be read")
	}
}

func TestPolicyWaitsWhileTheBodyIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		src := &closing{Reader: strings.NewReader("q")}
		base := play(status(503, "Retry-After", "100"))
		resp, err := (&Transport{Base: base}).RoundTrip(once(t, "PUT", src).WithContext(ctx))
		if got := outcome(resp, err); got != "503" || src.closed != 1 {
			t.Errorf("%s, closed %d times: want 503 at once, closed once", got, src.closed)
		}
	})
}

// A response from before the loss of the body is still the last, and is returned.
func TestBodyLostAfterResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lost")
		base := play(status(429))
		req := request(t, "PUT", "q")
		req.GetBody = func() (io.ReadCloser, error) { return nil, lost }
		resp, err := (&Transport{Base: base}).RoundTrip(req)
		if err != nil {
			t.Fatalf("got %v, want the 429", err)
		}
		if got := read(t, resp); got != "body of 429" || resp.StatusCode != 429 {
			t.Errorf("got %d %q, want 429 and its body", resp.StatusCode, got)
		}
		if err := CallOf(resp).Err; !errors.Is(err, lost) ||
			!errors.Is(err, rebound.NotRetryable) || base.count() != 1 || base.open != 0 {
			t.Errorf("CallOf has %v after %d requests, %d bodies open, want %v after 1, none",
				err, base.count(), base.open, lost)
		}
	})
}

// The source stays open while any reader may want it, not only the one that was opened last.
func TestSourceStaysOpen(t *testing.T) {
	src := &closing{Reader: strings.NewReader("question")}
	r := newReplay(once(t, "PUT", src), 100)
	winner, _ := r.open()
	loser, _ := r.open()
	r.finish()
	loser.Close()
	loser.Close()
	if src.closed != 0 {
		t.Error("the source was closed while a reader is open")
	}
	winner.Close()
	winner.Close()
	if src.closed != 1 {
		t.Errorf("the source was closed %d times, want once", src.closed)
	}
}

// A reader that falls behind fails as soon as its unread part is no longer kept. The reader ahead
// can continue.
func TestReplayLosesReadersBehind(t *testing.T) {
	req := once(t, "PUT", &closing{Reader: strings.NewReader("0123456789")})
	r := newReplay(req, 6)
	readN := func(v io.Reader, n int) string {
		t.Helper()
		b := make([]byte, n)
		if _, err := io.ReadFull(v, b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	open := func() io.ReadCloser {
		v, err := r.open()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	atStart, behind, level, ahead := open(), open(), open(), open()
	got := readN(ahead, 5) + readN(behind, 2) + readN(level, 5) + readN(ahead, 3)
	if want := "01234" + "01" + "01234" + "567"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	for name, v := range map[string]io.Reader{
		"at the start": atStart, "in the middle": behind, "at the limit": level,
	} {
		for range 2 {
			if n, err := v.Read(make([]byte, 4)); n != 0 || !errors.Is(err, errSpent) {
				t.Errorf("%s: read %d bytes and %v, want %v", name, n, err, errSpent)
			}
		}
	}
	if _, err := r.open(); !errors.Is(err, errSpent) {
		t.Errorf("opened again: %v, want %v", err, errSpent)
	}
	if rest, err := io.ReadAll(ahead); string(rest) != "89" || err != nil {
		t.Errorf("the reader ahead got %q, %v", rest, err)
	}
}

// A source that has failed, or ended, is not read again: each reader gets the same.
func TestReplayReadsTheEndOnce(t *testing.T) {
	for _, end := range []error{io.EOF, errors.New("disk on fire")} {
		reads := 0
		src := &closing{Reader: io.MultiReader(strings.NewReader("ab"), readerFunc(func() error {
			reads++
			return end
		}))}
		r := newReplay(once(t, "PUT", src), 100)
		for range 3 {
			v, _ := r.open()
			b := make([]byte, 10)
			n, _ := v.Read(b)
			if _, err := v.Read(b[n:]); string(b[:n]) != "ab" || err != end {
				t.Errorf("got %q and %v, want %v", b[:n], err, end)
			}
		}
		if reads != 1 {
			t.Errorf("%v: the source was read %d times at its end, want once", end, reads)
		}
	}
}

type readerFunc func() error

func (f readerFunc) Read([]byte) (int, error) { return 0, f() }
