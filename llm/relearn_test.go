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

// A limit that the provider changes with each answer does not fill the bucket anew each time.
func TestQuotaOfALimitThatChanges(t *testing.T) {
	for _, row := range []struct {
		name      string
		header    string
		one, next string // limits that answers state in turn
		used      int
		want      []time.Duration
	}{
		{"requests", "x-ratelimit-limit-requests", "60", "30", 1, seconds(0, 0, 2, 3, 5)},
		// The first is free, as nothing is known. Those after a limit of 2000 find 1000 left.
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
