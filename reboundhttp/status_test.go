package reboundhttp

import (
	"net/http"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// TestAsFaultHasIt: a response means the same here as in package fault.
func TestAsFaultHasIt(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, h := range []http.Header{
		nil,
		{"Retry-After": {"2.5"}},
		{"Retry-After": {"9999999999999"}},
		{"X-Ratelimit-Reset-Requests": {"30s"}},
		{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1767268860"}},
		{"X-Should-Retry": {"false"}},
	} {
		got, ok := RetryAfter(h, now)
		if want, wanted := fault.ParseRetryAfter(h, now); got != want || ok != wanted {
			t.Errorf("RetryAfter(%v) = %v, %v, want %v, %v", h, got, ok, want, wanted)
		}
		for code := range 600 {
			resp := &http.Response{StatusCode: code, Header: h}
			if got, want := answered(resp, now), fault.Response(code, h, now); got != want {
				t.Errorf("status %d with %v = %+v, want %+v", code, h, got, want)
			}
		}
	}
}
