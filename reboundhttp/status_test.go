package reboundhttp

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// TestAsFaultHasIt: a response has the same kind here as in package fault.
func TestAsFaultHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which time stands still
		now := time.Now()
		soon := strconv.FormatInt(now.Add(time.Minute).Unix(), 10)
		for _, h := range []http.Header{
			nil,
			{"Retry-After": {"2.5"}},
			{"Retry-After": {"9999999999999"}},
			{"X-Ratelimit-Reset-Requests": {"30s"}},
			{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {soon}},
			{"X-Should-Retry": {"false"}},
		} {
			got, ok := RetryAfter(h, now)
			if want, wanted := fault.ParseRetryAfter(h, now); got != want || ok != wanted {
				t.Errorf("RetryAfter(%v) = %v, %v, want %v, %v", h, got, ok, want, wanted)
			}
			for code := range 600 {
				resp := &http.Response{StatusCode: code, Header: h}
				if got, want := answered(resp), fault.Response(code, h, now); got != want {
					t.Errorf("status %d with %v = %+v, want %+v", code, h, got, want)
				}
			}
		}
	})
}

// TestCheck: a bad status is an error that holds the beginning of the body, and the response still
// holds the whole.
func TestCheck(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 5000) // more than is read ahead
	for _, body := range []string{"", "busy", long} {
		for _, code := range []int{100, 200, 302, 399} {
			resp := answer(request(t, "GET", ""), code, body)
			if err := Check(resp); err != nil {
				t.Errorf("Check of %d = %v, want nil", code, err)
			}
		}
		for _, code := range []int{400, 404, 429, 503, 599, 999} {
			for _, pipe := range []bool{false, true} {
				resp := answer(request(t, "GET", ""), code, body)
				if pipe { // a body that comes over a network
					resp.Body = io.NopCloser(struct{ io.Reader }{resp.Body})
				}
				resp.Header.Set("Retry-After", "7")
				var e *StatusError
				if err := Check(resp); !errors.As(err, &e) {
					t.Fatalf("Check of %d = %v, want a *StatusError", code, err)
				}
				if want := body[:min(len(body), 64<<10)]; string(e.Body) != want {
					t.Errorf("status %d: Body has %d bytes, want %d", code, len(e.Body), len(want))
				}
				want := fault.Response(code, resp.Header, time.Now())
				if got := fault.Of(e); got.Kind != want.Kind || got.After != want.After {
					t.Errorf("fault of %d = %+v, want %+v", code, got, want)
				}
				if got := read(t, resp); got != body {
					t.Errorf("status %d: the body has %d bytes, want %d", code, len(got), len(body))
				}
			}
		}
	}
}
