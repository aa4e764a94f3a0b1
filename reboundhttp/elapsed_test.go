package reboundhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
)

// TestMaxElapsedEndsTheWaitForAHeader, with and without net/http below, and for a Base that ignores
// its context.
func TestMaxElapsedEndsTheWaitForAHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, base := range map[string]http.RoundTripper{
			"no answer": roundTripper(hangs),
			"no header": pipes(t, func(_ http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
			}),
			"other errors": roundTripper(func(req *http.Request) (*http.Response, error) {
				<-req.Context().Done()
				return nil, io.ErrUnexpectedEOF
			}),
		} {
			p := seconds()
			p.MaxElapsed = 5 * time.Second
			start := time.Now()
			resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "GET", ""))
			if got := outcome(resp, err); got != "past_elapsed" || time.Since(start) != p.MaxElapsed {
				t.Errorf("%s: %s after %v, want past_elapsed after %v",
					name, got, time.Since(start), p.MaxElapsed)
			}
		}
		// The response of a Base that ignores its context comes too late, and is closed.
		base := play(func(req *http.Request) (*http.Response, error) {
			time.Sleep(6 * time.Second)
			return answer(req, 200, ""), nil
		})
		p := seconds()
		p.MaxElapsed = 5 * time.Second
		resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "GET", ""))
		if got := outcome(resp, err); got != "past_elapsed" || base.open != 0 || base.count() != 1 {
			t.Errorf("%s, %d bodies open after %d attempts; want past_elapsed, 0 and 1",
				got, base.open, base.count())
		}
	})
}

// TestMaxElapsedLeavesTheBodyAlone: AttemptTimeout alone ends a body.
func TestMaxElapsedLeavesTheBodyAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			attempt time.Duration
			timeout bool
		}{{0, false}, {4 * time.Second, true}} {
			p := seconds()
			p.MaxElapsed, p.AttemptTimeout = 5*time.Second, tt.attempt
			base := pipes(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(200)
				w.(http.Flusher).Flush()
				select {
				case <-time.After(time.Minute):
				case <-r.Context().Done():
				}
				io.WriteString(w, "late")
			})
			start := time.Now()
			resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "GET", ""))
			if got := outcome(resp, err); got != "200" {
				t.Fatalf("%s, want 200: %v", got, err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			var timeout interface{ Timeout() bool }
			switch {
			case !tt.timeout && (string(b) != "late" || err != nil):
				t.Errorf("read %q, %v; want the whole body", b, err)
			case tt.timeout && (!errors.As(err, &timeout) || time.Since(start) != tt.attempt):
				t.Errorf("read ended with %v after %v, want a timeout after %v",
					err, time.Since(start), tt.attempt)
			}
		}
	})
}

// TestMaxElapsedBeforeTheResponse: MaxElapsed ends just before settle gets the response.
func TestMaxElapsedBeforeTheResponse(t *testing.T) {
	for _, fails := range []error{nil, io.EOF} {
		bound, end := context.WithCancelCause(t.Context())
		lim := (&timeouts{elapsed: time.Second}).start(t.Context(), bound)
		lim.release = func(bool) {}
		end(context.DeadlineExceeded)
		base := play(status(200))
		var resp *http.Response
		if fails == nil {
			resp, _ = base.RoundTrip(request(t, "GET", ""))
		}
		resp, err := lim.settle(resp, fails)
		want := fails
		if want == nil {
			want = context.DeadlineExceeded
		}
		if resp != nil || !errors.Is(err, want) || base.open != 0 || lim.Err() == nil {
			t.Errorf("settle(…, %v) = %v, %v with %d bodies open; want %v and none",
				fails, resp, err, base.open, want)
		}
	}
}

// TestMaxElapsedIsInForceAgain: a second attempt has the rest of MaxElapsed.
func TestMaxElapsedIsInForceAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := seconds()
		p.MaxElapsed = 5 * time.Second
		base := play(status(500), hangs)
		start := time.Now()
		resp, err := (&Transport{Base: base, Policy: p}).RoundTrip(request(t, "GET", ""))
		got, e := outcome(resp, err), (*rebound.Error)(nil)
		if resp != nil {
			errors.As(CallOf(resp).Err, &e)
		} else {
			errors.As(err, &e)
		}
		if e == nil || e.Reason != rebound.PastElapsed || time.Since(start) != p.MaxElapsed {
			t.Errorf("%s, %v after %v; want past_elapsed after %v",
				got, e, time.Since(start), p.MaxElapsed)
		}
	})
}
