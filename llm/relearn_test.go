package llm_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/llm"
)

// A limit that is learned during a Retry-After delay does not end the delay.
func TestQuotaLearnsDuringARetryAfterDelay(t *testing.T) {
	for name, q := range map[string]*llm.Quota{
		"learned": {}, "given": {Requests: 120}, "tokens given": {Tokens: 1e6},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPaced(q, failing(429, message("slow down"), "Retry-After", "20"),
					used(1, "x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "59",
						"x-ratelimit-reset-requests", "1s"))
				first := true
				base := roundTrip(func(req *http.Request) (*http.Response, error) {
					if first {
						first = false
						time.Sleep(5 * time.Second)
					}
					return p.RoundTrip(req)
				})
				p.client = &http.Client{Transport: &llm.Transport{Base: base, Quota: q}}
				go func() { _, _ = p.ask(t.Context(), chatPath, thousand) }()
				synctest.Wait()
				go func() { _, _ = p.ask(t.Context(), chatPath, thousand) }() // has to wait
				time.Sleep(6 * time.Second)
				if at, err := p.ask(t.Context(), chatPath, thousand); at < 20*time.Second || err != nil {
					t.Errorf("sent after %v, %v; want 20 s", at, err)
				}
			})
		})
	}
}

// A limit that changes with each answer does not fill the bucket each time.
func TestQuotaOfALimitThatChanges(t *testing.T) {
	for _, row := range []struct {
		name      string
		header    string
		one, next string // limits that answers state in turn
		used      int
		want      []time.Duration
	}{
		{"requests", "x-ratelimit-limit-requests", "60", "30", 1, seconds(0, 0, 2, 3, 5)},
		// The first is free, because no limit is known. Those after a limit of 2000 have 1000 left.
		{"tokens", "x-ratelimit-limit-tokens", "2000", "1000", 1000, seconds(0, 0, 60, 60, 180)},
		// One of twenty that may be taken at once is used, then two of one.
		{"a higher limit", "x-ratelimit-limit-requests", "60", "1200", 1, seconds(0, 0, 0, 2)},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one, next := used(row.used, row.header, row.one), used(row.used, row.header, row.next)
				p := newPaced(&llm.Quota{}, one, next, one, next, one)
				got := p.times(t, len(row.want), chatPath, thousand)
				if !slices.Equal(got, row.want) {
					t.Errorf("got %v, want %v", got, row.want)
				}
			})
		})
	}
}

// The charge of each attempt: nothing if the provider certainly did nothing, the estimate if it may
// have, and the usage if it is reported.
func TestQuotaChargesAttempts(t *testing.T) {
	busy := func(status int) reply { return failing(status, message("busy"), "Retry-After", "1") }
	for _, row := range []struct {
		name    string
		replies []reply
		want    float64 // tokens
	}{
		{"used", []reply{used(500)}, 500},
		{"429, then used", []reply{busy(429), used(500)}, 500},
		{"500, then used", []reply{busy(500), used(500)}, 1500},
		{"no usage", []reply{answer(`{"choices": []}`)}, 1000},
		{"usage of 0", []reply{used(0)}, 1000},
		{"negative usage", []reply{used(-5000)}, 1000},
		{"400", []reply{failing(400, message("no such field"))}, 0},
		{"cached", []reply{answer(`{"usage": {"input_tokens": 100, "output_tokens": 200,
			"cache_read_input_tokens": 5000, "cache_creation_input_tokens": 50}}`)}, 350},
		{"stream without usage", []reply{stream(role, hello, done)}, 1000},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &llm.Quota{Tokens: 1e4} // 167 a second
				p := newPaced(q, row.replies...)
				p.times(t, 1, chatPath, thousand)
				for s := range q.Snapshots() {
					taken := 1e4 - s.Level
					if s.Limit > 0 && (taken > row.want || taken < max(row.want-220, 0)) {
						t.Errorf("%v tokens are taken, want %v", taken, row.want)
					}
				}
			})
		})
	}
}
