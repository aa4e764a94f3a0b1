package reboundhttp

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// noon is what "now" is in tests that do not say.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// none is the wait of a response that asks for none that makes sense.
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
	{[]string{"Retry-After-Ms", "250", "Retry-After", "7"}, 250 * time.Millisecond},
	{[]string{"Retry-After-Ms", "x", "Retry-After", "7"}, 7 * time.Second},
	{[]string{"Retry-After", "Thu, 01 Jan 2026 12:00:30 GMT"}, 30 * time.Second},
	{[]string{"Retry-After", "Thursday, 01-Jan-26 12:00:30 GMT"}, 30 * time.Second},
	{[]string{"Retry-After", "Thu Jan  1 12:00:30 2026"}, 30 * time.Second},
	{[]string{"Retry-After", "Thu, 01 Jan 2026 11:00:00 GMT"}, 0},
	// The server's clock is five minutes ahead of ours, and five minutes late.
	{[]string{"Retry-After", "Thu, 01 Jan 2026 12:05:30 GMT",
		"Date", "Thu, 01 Jan 2026 12:05:00 GMT"}, 30 * time.Second},
	{[]string{"Retry-After", "Thu, 01 Jan 2026 11:55:30 GMT",
		"Date", "Thu, 01 Jan 2026 11:55:00 GMT"}, 30 * time.Second},

	// Limits, when nothing asks for a wait.
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

func TestRetryAfter(t *testing.T) {
	for _, tt := range waitsAsked {
		got, ok := RetryAfter(header(tt.header...), noon)
		if !ok && got == 0 {
			got = none
		}
		if got != tt.want {
			t.Errorf("%q: %v, %v, want %v", tt.header, got, ok, tt.want)
		}
	}
}

// disagree are vectors of libraries that decide otherwise than we do: waits above a limit are cut
// there, and here are the policy's to refuse; a fraction of a second is not taken there; a number
// is a time there; one wants a negative wait to be none at all.
var disagree = map[string]string{
	"u3-max": "cut to a limit", "u3-max1": "cut to a limit",
	"oai-13": "over a limit", "ant-4": "over a limit",
	"env-2": "no fractions", "env-4": "no fractions", "env-6": "a time",
	"sm-date-secs": "two values in one", "ax-neg": "negative is none",
}

func TestRetryAfterVectors(t *testing.T) {
	var vectors struct {
		Cases []struct {
			ID    string
			Given struct {
				Header string
				Value  *string
				Now    time.Time
				Also   map[string]string
			}
			Expect map[string]any
		}
	}
	data, err := os.ReadFile("testdata/retry-after.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range vectors.Cases {
		now := c.Given.Now
		if now.IsZero() {
			now = noon
		}
		h := http.Header{}
		for k, v := range c.Given.Also {
			h.Set(k, v)
		}
		if c.Given.Value != nil {
			h.Set(c.Given.Header, vectorValue(c.ID, *c.Given.Value))
		}
		want, known := vectorWant(c.Expect)
		if _, other := disagree[c.ID]; other || !known {
			continue
		}
		checked++
		got, ok := RetryAfter(h, now)
		if own := want < 0; own && got != 0 || !own && (!ok || got != want) {
			t.Errorf("%s: %v gives %v, %v, want %v (-1ns: own backoff)", c.ID, h, got, ok, want)
		}
	}
	if checked < 45 {
		t.Errorf("%d vectors checked of %d, want 45 or more", checked, len(vectors.Cases))
	}
}

// vectorValue makes the values that are to be generated.
func vectorValue(id, v string) string {
	switch id {
	case "ky-rfc850-49y":
		return noon.AddDate(49, 0, 0).Format("Monday, 02-Jan-06 15:04:05 GMT")
	case "ky-leap":
		return "Thu, 01 Jan 2026 12:00:60 GMT"
	case "ax-past":
		return noon.Add(-10 * time.Second).Format(http.TimeFormat)
	case "ms-date":
		return noon.Add(24 * time.Hour).Format(http.TimeFormat)
	}
	return v
}

// vectorWant is the wait that a vector expects, -1 for none of the server's.
func vectorWant(expect map[string]any) (time.Duration, bool) {
	number := func(key string) (time.Duration, bool) {
		f, ok := expect[key].(float64)
		return time.Duration(f * float64(time.Second)), ok
	}
	if expect["invalid"] == true || expect["fallback"] != nil {
		return -1, true
	}
	if v, ok := expect["sleep_s"]; ok && v == nil {
		return -1, true
	}
	if expect["future"] == true {
		return noon.AddDate(49, 0, 0).Sub(noon), true
	}
	if expect["delay"] != nil { // that of the leap second
		return time.Minute, true
	}
	for _, key := range []string{"delay_s", "sleep_s", "min_delay_s"} {
		if d, ok := number(key); ok {
			if key == "delay_s" && expect["tolerance_s"] != nil && d == 2*time.Second {
				return -1, true // OpenAI's own backoff for an empty header
			}
			return d, true
		}
	}
	return 0, false
}

// A status that 9 of the 12 clients of the vectors repeat is repeated here, and one that none of
// them does is not, but for those that say themselves that the server has not acted.
func TestStatusesAsOthersHaveThem(t *testing.T) {
	var vectors struct {
		Votes map[string]int `json:"votes_for_retry_out_of_12"`
	}
	data, err := os.ReadFile("testdata/http-status-tables.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Votes) != 26 {
		t.Fatalf("%d statuses, want 26", len(vectors.Votes))
	}
	for code, votes := range vectors.Votes {
		var n int
		if err := json.Unmarshal([]byte(code), &n); err != nil {
			t.Fatal(err)
		}
		f := Fault(&http.Response{StatusCode: n}, nil)
		repeated := f.Kind != fault.Permanent
		if votes >= 9 && !repeated || votes == 0 && repeated && n != 421 && n != 425 {
			t.Errorf("status %d: %v, against %d of 12 clients that repeat it", n, f.Kind, votes)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{"120", "2.5", "-1", "1e9", "Thu, 01 Jan 2026 12:00:30 GMT",
		"Thursday, 01-Jan-26 12:00:60 UTC", "Thu Jan  1 12:00:30 2026", "NaN"} {
		f.Add(v, v, v)
	}
	f.Fuzz(func(t *testing.T, ms, after, date string) {
		h := header("Retry-After-Ms", ms, "Retry-After", after, "Date", date,
			"X-Ratelimit-Reset", "30")
		d, ok := RetryAfter(h, noon)
		if d < 0 || d >= tooLong || !ok && d != 0 {
			t.Errorf("%q gives %v, %v: want a wait of 0 up to %v, or nothing", h, d, ok, tooLong)
		}
		for range 2 { // the same again
			if again, ok2 := RetryAfter(h, noon); again != d || ok2 != ok {
				t.Errorf("%q gives %v, then %v", h, d, again)
			}
		}
	})
}

func FuzzRateLimit(f *testing.F) {
	f.Add("12ms", "0", `"default";r=50;t=30`)
	f.Add("2026-01-01T12:00:09Z", "-1", `"a\"b, c";t=3, d;r=0;t=1`)
	f.Add("1767268860.5", "10", "limit=100, remaining=0, reset=30")
	f.Add("9999999999999999999", "x", `";;,,=\`)
	f.Fuzz(func(t *testing.T, at, left, draft string) {
		h := header("X-Ratelimit-Reset-Tokens", at, "X-Ratelimit-Remaining-Tokens", left,
			"Anthropic-Ratelimit-Tokens-Reset", at, "Ratelimit", draft)
		d, ok := RetryAfter(h, noon)
		if d < 0 || d >= tooLong || ok != (d > 0) {
			t.Errorf("%q gives %v, %v: want a wait up to %v, or nothing", h, d, ok, tooLong)
		}
		parts := 0
		for range fields(draft, ',') {
			parts++
		}
		if limit := strings.Count(draft, ",") + 1; parts > limit {
			t.Errorf("%q has %d members, want at most %d", draft, parts, limit)
		}
	})
}
