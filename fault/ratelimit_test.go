package fault_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// noon is the default of "now" in tests.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// longest is the longest Retry-After delay.
const longest = time.Duration(1 << 62)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// none is the delay of a response without a valid one.
const none = -1

var waitsAsked = []struct {
	header []string
	want   time.Duration
}{
	{nil, none},
	{[]string{"Retry-After", "2.5"}, 2500 * time.Millisecond},
	{[]string{"Retry-After", "0"}, 0},
	{[]string{"Retry-After", "-1"}, none},
	{[]string{"Retry-After", "NaN"}, none},
	{[]string{"Retry-After", "Infinity"}, none},
	{[]string{"Retry-After", "0x10"}, none},
	{[]string{"Retry-After", "9999999999999"}, none},
	{[]string{"Retry-After", "30s"}, 30 * time.Second},
	{[]string{"X-Ratelimit-Retry-After", "7"}, 7 * time.Second},
	{[]string{"X-Ratelimit-Retry-After", "1767268860"}, time.Minute},
	{[]string{"X-Ratelimit-Retry-After", "2026-01-01T12:00:09Z"}, 9 * time.Second},
	{[]string{"X-Ratelimit-Retry-After", "7", "X-Ratelimit-Reset", "1767268860"}, 7 * time.Second},
	{[]string{"Retry-After", "3", "X-Ratelimit-Retry-After", "7"}, 3 * time.Second},
	{[]string{"Retry-After-Ms", "250", "Retry-After", "7"}, 250 * time.Millisecond},
	{[]string{"Retry-After-Ms", "x", "Retry-After", "7"}, 7 * time.Second},
	{[]string{"Retry-After", "Thu, 01 Jan 2026 12:00:30 GMT"}, 30 * time.Second},
	{[]string{"Retry-After", "Thursday, 01-Jan-26 12:00:30 GMT"}, 30 * time.Second},
	{[]string{"Retry-After", "Thu Jan  1 12:00:30 2026"}, 30 * time.Second},
	{[]string{"Retry-After", "Thu, 01 Jan 2026 11:00:00 GMT"}, 0},
	// The server's clock is five minutes ahead of ours, and five minutes behind.
	{[]string{"Retry-After", "Thu, 01 Jan 2026 12:05:30 GMT",
		"Date", "Thu, 01 Jan 2026 12:05:00 GMT"}, 30 * time.Second},
	{[]string{"Retry-After", "Thu, 01 Jan 2026 11:55:30 GMT",
		"Date", "Thu, 01 Jan 2026 11:55:00 GMT"}, 30 * time.Second},

	// Limits without a Retry-After delay.
	{[]string{"X-Ratelimit-Reset-Requests", "12ms"}, 12 * time.Millisecond},
	{[]string{"X-Ratelimit-Reset-Tokens", "6m0s"}, 6 * time.Minute},
	{[]string{"X-Ratelimit-Reset-Tokens", "17"}, 17 * time.Second},
	{[]string{"X-Ratelimit-Reset-Tokens", "-1"}, none},
	{[]string{"X-Ratelimit-Reset-Tokens", "0"}, none},
	{[]string{"X-Ratelimit-Reset-Requests", "1s", "X-Ratelimit-Reset-Tokens", "2s"},
		2 * time.Second},
	{[]string{"X-Ratelimit-Reset-Requests", "1h", "X-Ratelimit-Remaining-Requests", "99",
		"X-Ratelimit-Reset-Tokens", "2s", "X-Ratelimit-Remaining-Tokens", "0"},
		2 * time.Second},
	{[]string{"X-Ratelimit-Reset-Requests", "1h", "X-Ratelimit-Remaining-Requests", "99"}, none},
	{[]string{"X-Ratelimit-Reset-Requests", "1h", "X-Ratelimit-Remaining-Requests", "x"},
		time.Hour},
	{[]string{"Anthropic-Ratelimit-Requests-Reset", "2026-01-01T12:00:09Z"}, 9 * time.Second},
	{[]string{"Anthropic-Ratelimit-Input-Tokens-Reset", "2026-01-01T12:00:09Z",
		"Anthropic-Ratelimit-Input-Tokens-Remaining", "0",
		"Anthropic-Ratelimit-Requests-Reset", "2026-01-01T12:00:40Z",
		"Anthropic-Ratelimit-Requests-Remaining", "10"}, 9 * time.Second},
	{[]string{"Anthropic-Ratelimit-Requests-Reset", "2026-01-01T12:00:09Z",
		"Date", "Thu, 01 Jan 2026 12:00:05 GMT"}, 4 * time.Second},
	{[]string{"Anthropic-Ratelimit-Requests-Reset", "2026-01-01T11:00:09Z"}, none},
	{[]string{"X-Ratelimit-Reset", "1767268860", "X-Ratelimit-Remaining", "0"}, time.Minute},
	{[]string{"X-Ratelimit-Reset", "1767268860.5"}, 60500 * time.Millisecond},
	{[]string{"X-Ratelimit-Reset", "1767268860000"}, time.Minute},
	{[]string{"X-Rate-Limit-Reset", "1767268860"}, time.Minute},
	{[]string{"X-Ratelimit-Reset-After", "0.75"}, 750 * time.Millisecond},
	{[]string{"X-Ratelimit-Reset-After", "9", "X-Ratelimit-Remaining", "3"}, none},
	{[]string{"X-Ratelimit-Reset", "2026-01-01T12:00:09", "X-Ratelimit-Remaining", "0"},
		9 * time.Second},
	{[]string{"X-Ratelimit-Reset", "Thu, 01 Jan 2026 12:00:09 GMT"}, 9 * time.Second},
	{[]string{"X-Ratelimit-Reset-Tokens", "1 minute 30 seconds"}, 90 * time.Second},
	{[]string{"Ratelimit-Reset", "50"}, 50 * time.Second},
	{[]string{"Ratelimit", `"default";r=50;t=30`}, none},
	{[]string{"Ratelimit", `"default";r=0;t=30`}, 30 * time.Second},
	{[]string{"Ratelimit", `"a, b; r=9";r=0;t=30, "day";r=5;t=4000`}, 30 * time.Second},
	{[]string{"Ratelimit", `"a\"b";t=3`, "Ratelimit", `"day";r=0;t=40`}, 40 * time.Second},
	{[]string{"Ratelimit", "limit=100, remaining=0, reset=30"}, 30 * time.Second},
	{[]string{"Ratelimit-Policy", `"default";q=100;w=60`}, none},
	{[]string{"X-Ratelimit-Reset", "1e99"}, none},
	{[]string{"X-Ratelimit-Reset", strings.Repeat("9", 400)}, none},
	{[]string{"X-Ratelimit-Reset", "1.2.3"}, none},
	{[]string{"X-Password-Reset", "5"}, none},

	{[]string{"Retry-After", "1", "X-Ratelimit-Reset-Requests", "9s"}, time.Second},
	{[]string{"Retry-After", "soon", "X-Ratelimit-Reset-Requests", "9s"}, none},
	{[]string{"Retry-After", "-5", "X-Ratelimit-Reset-Requests", "9s"}, none},
	{[]string{"Retry-After", "", "X-Ratelimit-Reset-Requests", "9s"}, none},
	{[]string{"Retry-After-Ms", "?", "X-Ratelimit-Reset-Requests", "9s"}, none},
}

func TestRateLimits(t *testing.T) {
	for _, tt := range waitsAsked {
		got, ok := fault.ParseRetryAfter(header(tt.header...), noon)
		if !ok && got == 0 {
			got = none
		}
		if got != tt.want {
			t.Errorf("%q: %v, %v, want %v", tt.header, got, ok, tt.want)
		}
	}
}

func FuzzRetryAfterHeaders(f *testing.F) {
	for _, v := range []string{"120", "2.5", "-1", "1e9", "Thu, 01 Jan 2026 12:00:30 GMT",
		"Thursday, 01-Jan-26 12:00:60 UTC", "Thu Jan  1 12:00:30 2026", "NaN"} {
		f.Add(v, v, v)
	}
	f.Fuzz(func(t *testing.T, ms, after, date string) {
		h := header("Retry-After-Ms", ms, "Retry-After", after, "Date", date,
			"X-Ratelimit-Reset", "30")
		d, ok := fault.ParseRetryAfter(h, noon)
		if d < 0 || d >= longest || !ok && d != 0 {
			t.Errorf("%q gives %v, %v: want a wait of 0 up to %v, or nothing", h, d, ok, longest)
		}
		for range 2 { // the same again
			if again, ok2 := fault.ParseRetryAfter(h, noon); again != d || ok2 != ok {
				t.Errorf("%q gives %v, then %v", h, d, again)
			}
		}
	})
}

func FuzzRateLimit(f *testing.F) {
	f.Add("12ms", "0", `"default";r=50;t=30`)
	f.Add("2026-01-01T12:00:09Z", "-1", `"a\"b, c";t=3, d;r=0;t=1`)
	f.Add("1767268860.5", "10", "limit=100, remaining=0, reset=30")
	f.Add("999959999999999", "", "")
	f.Add("9999999999999999999", "x", `";;,,=\`)
	f.Fuzz(func(t *testing.T, at, left, draft string) {
		h := header("X-Ratelimit-Reset-Tokens", at, "X-Ratelimit-Remaining-Tokens", left,
			"Anthropic-Ratelimit-Tokens-Reset", at, "Ratelimit", draft)
		d, ok := fault.ParseRetryAfter(h, noon)
		if d < 0 || d >= longest || ok != (d > 0) {
			t.Errorf("%q gives %v, %v: want a wait up to %v, or nothing", h, d, ok, longest)
		}
		parts := 0
		for range fault.SplitQuoted(draft, ',') {
			parts++
		}
		if limit := strings.Count(draft, ",") + 1; parts > limit {
			t.Errorf("%q has %d members, want at most %d", draft, parts, limit)
		}
	})
}

func TestRateLimitsByName(t *testing.T) {
	const minute = time.Minute
	for _, row := range []struct {
		name   string
		header http.Header
		want   []fault.RateLimit
	}{
		{"none", header("Retry-After", "3", "X-Ratelimit-Used", "5"), nil},
		{"OpenAI", header("x-ratelimit-limit-requests", "5000", "x-ratelimit-limit-tokens", "200000",
			"x-ratelimit-remaining-requests", "4999", "x-ratelimit-remaining-tokens", "0",
			"x-ratelimit-reset-requests", "12ms", "x-ratelimit-reset-tokens", "1m0s"),
			[]fault.RateLimit{{"requests", 5000, 4999, 12 * time.Millisecond, 0},
				{"tokens", 200000, 0, minute, 0}}},
		{"Anthropic", header("anthropic-ratelimit-input-tokens-limit", "40000",
			"anthropic-ratelimit-input-tokens-remaining", "39000",
			"anthropic-ratelimit-input-tokens-reset", "2026-01-01T12:00:01Z",
			"anthropic-ratelimit-requests-remaining", "7"),
			[]fault.RateLimit{{"input-tokens", 40000, 39000, time.Second, 0},
				{"requests", -1, 7, 0, 0}}},
		{"Azure", header("x-ratelimit-remaining-requests", "-1", "x-ratelimit-limit-requests", "x"),
			[]fault.RateLimit{{"requests", -1, -1, 0, 0}}},
		{"Cerebras", header("x-ratelimit-limit-tokens-minute", "60000",
			"x-ratelimit-reset-tokens-minute", "33.011", "x-ratelimit-limit-requests-day", "14400"),
			[]fault.RateLimit{{"requests-day", 14400, -1, 0, 0},
				{"tokens-minute", 60000, -1, 33011 * time.Millisecond, 0}}},
		{"GitHub", header("X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "0",
			"X-RateLimit-Reset", "1767268860", "X-RateLimit-Resource", "core"),
			[]fault.RateLimit{{"", 5000, 0, minute, 0}}},
		{"X", header("X-Rate-Limit-Limit", "15", "X-Rate-Limit-Reset", "1767268860"),
			[]fault.RateLimit{{"", 15, -1, minute, 0}}},
		{"Discord", header("X-RateLimit-Reset-After", "2.5", "X-RateLimit-Remaining", "1.0"),
			[]fault.RateLimit{{"", -1, 1, 2500 * time.Millisecond, 0}}},
		{"IETF, eighth draft", header("RateLimit", `"a,b";r=50;t=30, "day";r=0;t=3600`,
			"RateLimit-Policy", `"a,b";q=100;w=60, "day";q=1000;w=86400;x="y", "odd"`),
			[]fault.RateLimit{{"a,b", 100, 50, 30 * time.Second, minute},
				{"day", 1000, 0, time.Hour, 24 * time.Hour}}},
		{"IETF, seventh draft", header("RateLimit", "limit=100, remaining=0, reset=30"),
			[]fault.RateLimit{{"", 100, 0, 30 * time.Second, 0}}},
		{"IETF, sixth draft", header("RateLimit-Limit", "100", "RateLimit-Remaining", "5",
			"RateLimit-Reset", "30"), []fault.RateLimit{{"", 100, 5, 30 * time.Second, 0}}},
		{"no numbers", header("X-RateLimit-Limit", "NaN", "X-RateLimit-Remaining", "-Inf",
			"X-RateLimit-Reset", "soon"), []fault.RateLimit{{"", -1, -1, 0, 0}}},
	} {
		if got := fault.RateLimits(row.header, noon); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %+v, want %+v", row.name, got, row.want)
		}
	}
}
