package reboundhttp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
)

// pipes is net/http's transport, connected to a handler by pipes, which need no network and so
// keep to the time of a synctest bubble.
func pipes(t *testing.T, h http.HandlerFunc) *http.Transport {
	l := &pipeListener{make(chan net.Conn), make(chan struct{})}
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	tr := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		srv.Close()
	})
	return tr
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	close(l.done)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// stall waits until the client has disconnected, which a server notices after it has read the body.
func stall(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// drip sends words, one after each pause, and stalls if the last one is "…".
func drip(pause time.Duration, words ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		for _, word := range words {
			if word == "…" {
				stall(w, r)
				return
			}
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
				return
			}
			io.WriteString(w, word)
			http.NewResponseController(w).Flush()
		}
	}
}

// isTimeout checks all properties of our timeouts.
func isTimeout(t *testing.T, err error) {
	t.Helper()
	var timeout interface{ Timeout() bool }
	f := fault.Of(err)
	if !errors.As(err, &timeout) || !timeout.Timeout() || !fault.IsTimeout(err) ||
		!errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		f.Kind != fault.Transient {
		t.Errorf("%v, %+v: want a timeout, and Transient", err, f)
	}
}

func TestAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		base := pipes(t, func(w http.ResponseWriter, r *http.Request) { n.Add(1); stall(w, r) })
		p := seconds()
		p.AttemptTimeout = 5 * time.Second
		start := time.Now()
		resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "GET", ""))
		if got := outcome(resp, err); got != "exhausted" || n.Load() != 3 {
			t.Errorf("%s after %d requests, want exhausted after 3", got, n.Load())
		}
		isTimeout(t, err)
		if took := time.Since(start); took != (5+1+5+2+5)*time.Second {
			t.Errorf("took %v, want 18s", took)
		}
		if want := "the attempt's 5s were up"; !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %q, want %q in it", err, want)
		}

		p = p.Clone() // a POST that timed out may have been carried out
		n.Store(0)
		resp, err = (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "POST", "q"))
		if got := outcome(resp, err); got != "not_idempotent" || n.Load() != 1 {
			t.Errorf("a POST: %s after %d requests, want not_idempotent after 1", got, n.Load())
		}
	})
}

func TestAttemptTimeoutCoversTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &rebound.Policy{AttemptTimeout: 5 * time.Second}
		start := time.Now()
		tr := &Transport{Base: pipes(t, drip(time.Second, "a", "b", "…")), Policy: p}
		resp, err := tr.RoundTrip(request(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if string(body) != "ab" || time.Since(start) != 5*time.Second {
			t.Errorf("read %q in %v, want ab in 5s", body, time.Since(start))
		}
		isTimeout(t, err)
		resp.Body.Close()

		// A body that comes in time is whole, whatever its reader does afterwards.
		tr = &Transport{Base: pipes(t, drip(time.Second, "a", "b", "c")), Policy: p}
		if resp, err = tr.RoundTrip(request(t, "GET", "")); err != nil {
			t.Fatal(err)
		}
		body, err = io.ReadAll(resp.Body)
		time.Sleep(time.Minute)
		if string(body) != "abc" || err != nil {
			t.Errorf("read %q, %v, want abc", body, err)
		}
		if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v, want EOF", n, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAttemptTimeoutWithinMaxElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := seconds()
		p.AttemptTimeout, p.MaxElapsed = 10*time.Second, 15*time.Second
		start := time.Now()
		resp, err := (&Transport{Base: play(hangs), Policy: p}).RoundTrip(request(t, "GET", ""))
		if got := outcome(resp, err); got != "past_elapsed" || time.Since(start) != p.MaxElapsed {
			t.Errorf("%s after %v, want past_elapsed after %v", got, time.Since(start), p.MaxElapsed)
		}
	})
}

func TestCallersDeadlineIsNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		base := play(hangs)
		tr := &Transport{Base: base, Policy: &rebound.Policy{AttemptTimeout: 5 * time.Second}}
		resp, err := tr.RoundTrip(request(t, "GET", "").WithContext(ctx))
		if got := outcome(resp, err); got != "canceled" || base.count() != 1 {
			t.Errorf("%s after %d attempts, want canceled after 1", got, base.count())
		}
	})
}

func TestFirstByteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		quick := drip(10*time.Second, "a", "b") // once it has begun
		base := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				stall(w, r)
				return
			}
			quick(w, r)
		})
		tr := &Transport{Base: base, Policy: seconds(), FirstByteTimeout: 2 * time.Second}
		start := time.Now()
		resp, err := tr.RoundTrip(request(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 3*time.Second || n.Load() != 2 {
			t.Errorf("%d requests in %v, want 2 in 3s", n.Load(), took)
		}
		if got := read(t, resp); got != "ab" {
			t.Errorf("read %q, want ab", got)
		}
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &Transport{
			Base:        pipes(t, drip(9*time.Second, "a", "b", "c", "…")),
			IdleTimeout: 10 * time.Second,
		}
		start := time.Now()
		resp, err := tr.RoundTrip(request(t, "GET", ""))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		if n, err := resp.Body.Read(b); n != 1 || err != nil {
			t.Fatalf("read %d, %v, want 1", n, err)
		}
		time.Sleep(15 * time.Second) // which is the reader's own affair
		rest, err := io.ReadAll(resp.Body)
		// A pipe buffers nothing: b arrives at 9+15 s, c 9 s later, and then nothing.
		if string(rest) != "bc" || time.Since(start) != (9+15+9+10)*time.Second {
			t.Errorf("read %q in %v, want bc in 43s", rest, time.Since(start))
		}
		isTimeout(t, err)
		resp.Body.Close()
	})
}

func TestLimitsLeaveOtherProtocolsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n" +
				"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			rw.Flush()
			line, _ := rw.ReadString('\n')
			rw.WriteString("echo " + line)
			rw.Flush()
		})
		req := request(t, "GET", "")
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "echo")
		tr := &Transport{Base: base, IdleTimeout: time.Second,
			Policy: &rebound.Policy{AttemptTimeout: time.Second}}
		resp, err := tr.RoundTrip(req)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s, want 101", outcome(resp, err))
		}
		time.Sleep(time.Minute)
		w, ok := resp.Body.(io.ReadWriteCloser)
		if !ok {
			t.Fatalf("the body is a %T, want one that can be written to", resp.Body)
		}
		if _, err := io.WriteString(w, "hello\n"); err != nil {
			t.Error(err)
		}
		if got := read(t, resp); got != "echo hello\n" {
			t.Errorf("read %q, want echo hello", got)
		}
	})
}

// A bad response that never ends is returned at once, and its rest can be read.
func TestSlowBadResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		slow := drip(400*time.Millisecond, "a", "b", "c", "d", "e")
		base := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
			slow(w, r)
		})
		var seen []string
		p := seconds()
		p.Attempts = 2
		p.Classify = func(err error) fault.Fault {
			var bad *StatusError
			if errors.As(err, &bad) {
				seen = append(seen, string(bad.Body))
			}
			return fault.Of(err)
		}
		start := time.Now()
		resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "GET", ""))
		if err != nil || n.Load() != 2 || time.Since(start) != 3*time.Second {
			t.Errorf("%v, %d requests in %v, want 2 in 3s", err, n.Load(), time.Since(start))
		}
		if got := strings.Join(seen, " "); got != "ab ab" {
			t.Errorf("Classify saw %q, want what had come after a second, twice", got)
		}
		if got := read(t, resp); got != "abcde" {
			t.Errorf("the caller read %q, want abcde", got)
		}
	})
}

// TestDeadlineIsThatOfTheAttempt: the layer below gets the attempt's deadline.
func TestDeadlineIsThatOfTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			outer, attempt, want time.Duration // 0 = none
		}{
			{0, 0, 0}, {0, 5, 5}, {9, 0, 9}, {9, 5, 5}, {5, 9, 5}, {5, 5, 5},
		} {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if tt.outer > 0 {
				ctx, cancel = context.WithTimeout(ctx, tt.outer*time.Second)
			}
			p := seconds()
			p.AttemptTimeout = tt.attempt * time.Second
			start, tries := time.Now(), 0
			base := roundTripper(func(req *http.Request) (*http.Response, error) {
				tries++
				var got time.Duration
				end, ok := req.Context().Deadline()
				if ok {
					got = end.Sub(start)
				}
				if got != tt.want*time.Second || ok != (tt.want > 0) {
					t.Errorf("%+v: the attempt's deadline is after %v", tt, got)
				}
				if tries == 1 {
					return nil, io.ErrUnexpectedEOF
				}
				return answer(req, 200, ""), nil
			})
			p.Backoff = backoff.Constant(0)
			tr := &Transport{Base: base, Policy: p, IdleTimeout: time.Hour}
			resp, err := tr.RoundTrip(request(t, "GET", "").WithContext(ctx))
			if got := outcome(resp, err); got != "200" || tries != 2 {
				t.Errorf("%+v: %s after %d attempts", tt, got, tries)
			}
			cancel()
		}
	})
}

// TestBaseThatGoesByTheDeadline: if Base itself ends an attempt at its deadline, the error is the
// same timeout.
func TestBaseThatGoesByTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			end, _ := req.Context().Deadline()
			time.Sleep(time.Until(end))
			return nil, errors.New("mine")
		})
		p := seconds()
		p.AttemptTimeout = 3 * time.Second
		_, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "GET", ""))
		if want := "the attempt's 3s were up"; !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	})
}

// TestClientTimeoutIsNamed when a delay would pass it. When it passes, http.Client names it.
func TestClientTimeoutIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, s := range map[string]step{
			"error": fails(io.ErrUnexpectedEOF), "status": status(503),
		} {
			p := seconds()
			p.Backoff = backoff.Constant(time.Minute)
			c := &http.Client{Transport: &Transport{Base: play(s), Policy: p}, Timeout: time.Second}
			resp, err := c.Get("http://example.test/")
			if err == nil {
				err = CallOf(resp).Err
				resp.Body.Close()
			}
			if !strings.Contains(err.Error(), "Client.Timeout") {
				t.Errorf("%s: %v, want Client.Timeout in it", name, err)
			}
		}
	})
}
