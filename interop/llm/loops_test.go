package llm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/llm"
)

// three is a client whose transport makes three attempts.
func three(base http.RoundTripper) *http.Client { return client(base, 3) }

func client(base http.RoundTripper, attempts int) *http.Client {
	p := llm.NewPolicy()
	p.Attempts = attempts
	return &http.Client{Transport: &llm.Transport{Base: base, Policy: p}}
}

// each runs a test for every SDK, with its own retries off and on.
func each(t *testing.T, test func(t *testing.T, s sdk, own bool)) {
	for _, s := range sdks {
		for _, own := range []bool{false, true} {
			if own && s.defaults == 1 {
				continue
			}
			t.Run(fmt.Sprintf("%s, own retries %t", s.name, own), func(t *testing.T) {
				test(t, s, own)
			})
		}
	}
}

func respond(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// For a status, the requests are the same whether the SDK retries or not.
func TestStatuses(t *testing.T) {
	const once, thrice = 1, 3
	for status, want := range map[int]int{
		400: once, 401: once, 402: once, 403: once, 404: once, 413: once, 422: once, 423: once,
		501: once, 505: once, 506: once, 508: once, 510: once, 511: once,
		408: thrice, 409: thrice, 421: thrice, 425: thrice, 429: thrice, 500: thrice, 502: thrice,
		503: thrice, 504: thrice, 520: thrice, 522: thrice, 524: thrice, 529: thrice, 599: thrice,
	} {
		each(t, func(t *testing.T, s sdk, own bool) {
			synctest.Test(t, func(t *testing.T) {
				w := serve(t, respond(status, `{"error": {"message": "m"}}`))
				_, err := s.ask(t.Context(), three(w), own)
				if err == nil || w.count() != want {
					t.Errorf("status %d: %d requests, %v, want %d and an error",
						status, w.count(), err, want)
				}
			})
		})
	}
}

func TestBodiesAndHeaders(t *testing.T) {
	const quota = `{"error": {"type": "insufficient_quota", "code": "insufficient_quota",
		"message": "m", "status": "x"}}`
	for _, row := range []struct {
		name    string
		handler http.HandlerFunc
		want    int // requests
		within  time.Duration
	}{
		{"quota", respond(429, quota), 1, 0},
		{"context length", respond(400, `{"error": {"code": "context_length_exceeded"}}`), 1, 0},
		{"the header forbids it", respond(500, "{}", "X-Should-Retry", "false"), 1, 0},
		{"the header allows it", respond(400, "{}", "X-Should-Retry", "true"), 3, time.Minute},
		{"wait too long", respond(429, "{}", "Retry-After", "300"), 1, 0},
		{"wait", respond(429, "{}", "Retry-After", "20"), 3, time.Minute},
		{"HTML of a proxy", respond(502, "<html>bad gateway</html>", "Content-Type", "text/html"),
			3, time.Minute},
		{"nothing", respond(500, ""), 3, time.Minute},
	} {
		each(t, func(t *testing.T, s sdk, own bool) {
			synctest.Test(t, func(t *testing.T) {
				w, begin := serve(t, row.handler), time.Now()
				_, err := s.ask(t.Context(), three(w), own)
				took := time.Since(begin)
				if err == nil || w.count() != row.want || took > row.within {
					t.Errorf("%s: %d requests in %v, %v, want %d within %v and an error",
						row.name, w.count(), took, err, row.want, row.within)
				}
			})
		})
	}
}

// An error has no header that stops an SDK. Each retry of the SDK is sent once, so attempts add up
// to 3 + 1 + 1, and do not multiply to 9.
func TestConnectionsThatFail(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	closed := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"cho`)
	}
	for name, h := range map[string]http.HandlerFunc{"hang": hang, "closed": closed, "cut": cut} {
		each(t, func(t *testing.T, s sdk, own bool) {
			synctest.Test(t, func(t *testing.T) {
				w := serve(t, h)
				p := llm.NewPolicy()
				p.Attempts, p.AttemptTimeout = 3, 200*time.Millisecond
				hc := &http.Client{Transport: &llm.Transport{Base: w, Policy: p}}
				want := 3
				if own {
					want += s.defaults - 1
				}
				_, err := s.ask(t.Context(), hc, own)
				if err == nil || w.count() != want {
					t.Errorf("%s: %d requests, %v, want %d and an error",
						name, w.count(), err, want)
				}
			})
		})
	}
}

// A retry around the SDK gets an error that was already retried.
func TestFinal(t *testing.T) {
	each(t, func(t *testing.T, s sdk, own bool) {
		if s.name == "google" {
			t.Skip("its errors keep no response")
		}
		synctest.Test(t, func(t *testing.T) {
			w := serve(t, respond(503, "{}"))
			hc, outer := three(w), llm.NewPolicy()
			err := rebound.Run(t.Context(), outer, func(ctx context.Context) error {
				_, err := s.ask(ctx, hc, own)
				return err
			})
			if !errors.Is(err, rebound.AlreadyRetried) || w.count() != 3 {
				t.Errorf("%d requests, %v, want 3, already retried", w.count(), err)
			}
		})
	})
}

// The caller's own end is not a failure of the server, and ends everything at once.
func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, s sdk, own bool) {
		synctest.Test(t, func(t *testing.T) {
			w := serve(t, respond(429, "{}", "Retry-After", "60"))
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			begin := time.Now()
			_, err := s.ask(ctx, three(w), own)
			if !errors.Is(err, context.Canceled) || time.Since(begin) != time.Second ||
				w.count() != 1 {
				t.Errorf("%d requests in %v, %v, want 1 in 1s, canceled",
					w.count(), time.Since(begin), err)
			}
		})
	})
}

// If a delay would pass the deadline, the call ends at once with the server's own answer.
func TestDeadline(t *testing.T) {
	each(t, func(t *testing.T, s sdk, own bool) {
		synctest.Test(t, func(t *testing.T) {
			w := serve(t, respond(429, `{"error": {"message": "m"}}`, "Retry-After", "60"))
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
			defer cancel()
			begin := time.Now()
			_, err := s.ask(ctx, three(w), own)
			if took := time.Since(begin); took != 0 || w.count() != 1 ||
				errors.Is(err, context.DeadlineExceeded) || llm.Classify(err).Kind == 0 {
				t.Errorf("%d requests in %v, %v, want 1 at once, and the 429",
					w.count(), took, err)
			}
		})
	})
}

func TestGood(t *testing.T) {
	each(t, func(t *testing.T, s sdk, own bool) {
		synctest.Test(t, func(t *testing.T) {
			failures := 2
			w := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); len(body) == 0 || r.URL.Path != s.path {
					t.Errorf("%s: a request to %s with a body of %d bytes", s.name, r.URL, len(body))
				}
				if failures--; failures >= 0 {
					respond(503, "{}")(w, r)
					return
				}
				respond(200, s.answer)(w, r)
			})
			got, err := s.ask(t.Context(), three(w), own)
			if got != "Hello!" || err != nil || w.count() != 3 {
				t.Errorf("got %q, %v after %d requests, want Hello! after 3", got, err, w.count())
			}
		})
	})
}
