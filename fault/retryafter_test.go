package fault_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

var served = time.Date(1994, 11, 6, 8, 49, 0, 0, time.UTC)

// retryAfters are values of Retry-After in a response served at 08:49:00.
var retryAfters = []struct {
	value string
	want  time.Duration
	ok    bool
}{
	{"120", 2 * time.Minute, true},
	{" 1 ", time.Second, true},
	{"0", 0, true},
	{"1.5", 1500 * time.Millisecond, true},
	{"0.0000000001", 0, true},
	{"4611686018", 4611686018 * time.Second, true},
	{"9223372036", 0, false},
	{"99999999999999999999999999999999999", 0, false},
	{"", 0, false},
	{"-10", 0, false},
	{"+1", 0, false},
	{"1e3", 0, false},
	{"0x10", 0, false},
	{"1_000", 0, false},
	{"inf", 0, false},
	{"NaN", 0, false},
	{".5", 0, false},
	{".", 0, false},
	{"1.2.3", 0, false},
	{"²", 0, false},
	{"soon", 0, false},
	{"Sun, 06 Nov 1994 08:49:37 GMT", 37 * time.Second, true},
	{"Sun, 6 Nov 1994 08:49:37 GMT", 37 * time.Second, true},
	{"Sun, 06 Nov 1994 08:49:37 UTC", 37 * time.Second, true},
	{"Sunday, 06-Nov-94 08:49:37 GMT", 37 * time.Second, true},
	{"Sun Nov  6 08:49:37 1994", 37 * time.Second, true},
	{"Sun, 06 Nov 1994 08:49:60 GMT", time.Minute, true},
	{"Sun, 06 Nov 1994 08:48:00 GMT", 0, true},
	{"Sun, 06 Nov 1994 08:49:37 CET", 0, false},
	{"Zun, 06 Nov 1994 08:49:37 GMT", 0, false},
	{"Sun, 32 Dec 2030 25:99:99 GMT", 0, false},
	{"Invalid Date GMT", 0, false},
	{"Wed, 01 Jan 9999 00:00:00 GMT", 0, false},
	{"1994-11-06T08:49:37Z", 37 * time.Second, true},
	{"1994-11-06T08:49:37.5Z", 37500 * time.Millisecond, true},
	{"1994-11-06T09:49:37+01:00", 37 * time.Second, true},
	{"1994-11-06T09:49:37+0100", 37 * time.Second, true},
	{"1994-11-06T08:49:37", 37 * time.Second, true},
	{"1994-11-06 08:49:37", 37 * time.Second, true},
	{"1994-11-06 08:49:37 UTC", 37 * time.Second, true},
	{"19941106T084937Z", 37 * time.Second, true},
	{"1994-11-06T08:48:00Z", 0, true},
	{"1994-13-06T08:49:37Z", 0, false},
	{"30s", 30 * time.Second, true},
	{"1m2.5s", 62500 * time.Millisecond, true},
	{"500ms", 500 * time.Millisecond, true},
	{"30 seconds", 30 * time.Second, true},
	{"1 minute, 5 seconds", 0, false},
	{"2h 5m", 125 * time.Minute, true},
	{"1d", 24 * time.Hour, true},
	{"PT30S", 30 * time.Second, true},
	{"P1DT2H", 26 * time.Hour, true},
	{"P", 0, false},
	{"s", 0, false},
	{"30x", 0, false},
	{"-30s", 0, false},
	{"99999999999h", 0, false},
}

func TestRetryAfter(t *testing.T) {
	for _, tc := range retryAfters {
		h := map[string][]string{"Retry-After": {tc.value}}
		if got, ok := fault.ParseRetryAfter(h, served); got != tc.want || ok != tc.ok {
			t.Errorf("Retry-After %q = %v, %v, want %v, %v", tc.value, got, ok, tc.want, tc.ok)
		}
	}
}

// TestTwoDigitYear holds to RFC 9110, section 5.6.7: such a year is never more than 50 years ahead.
func TestTwoDigitYear(t *testing.T) {
	for _, tc := range []struct {
		now  int
		yy   string
		year int
	}{
		{2026, "27", 2027}, {2026, "75", 2075}, {2026, "78", 1978}, {2026, "00", 2000},
		{2060, "09", 2109}, {2060, "11", 2011}, {1994, "94", 1994}, {1994, "43", 2043},
	} {
		now := time.Date(tc.now, 1, 1, 0, 0, 0, 0, time.UTC)
		h := map[string][]string{"Retry-After": {"Friday, 02-Jan-" + tc.yy + " 00:00:00 GMT"}}
		want := max(time.Date(tc.year, 1, 2, 0, 0, 0, 0, time.UTC).Sub(now), 0)
		if got, ok := fault.ParseRetryAfter(h, now); got != want || !ok {
			t.Errorf("in %d, year %q: %v, %v, want %v: the year %d",
				tc.now, tc.yy, got, ok, want, tc.year)
		}
	}
}

func TestRetryAfterHeaders(t *testing.T) {
	type header = map[string][]string
	for _, tc := range []struct {
		name string
		h    header
		want time.Duration
		ok   bool
	}{
		{"none", nil, 0, false},
		{"no value", header{"Retry-After": nil}, 0, false},
		{"milliseconds first", header{"Retry-After-Ms": {"250"}, "Retry-After": {"1"}},
			250 * time.Millisecond, true},
		{"fraction", header{"Retry-After-Ms": {"0.5"}}, 500 * time.Microsecond, true},
		{"bad milliseconds", header{"Retry-After-Ms": {"x"}, "Retry-After": {"1"}},
			time.Second, true},
		{"AWS", header{"X-Amz-Retry-After": {"5000"}}, 5 * time.Second, true},
		{"AWS last", header{"X-Amz-Retry-After": {"5000"}, "Retry-After": {"1"}},
			time.Second, true},
		{"the server's clock", header{"Retry-After": {"Sun, 06 Nov 1994 09:49:37 GMT"},
			"Date": {"Sun, 06 Nov 1994 09:49:00 GMT"}}, 37 * time.Second, true},
		{"a bad clock", header{"Retry-After": {"Sun, 06 Nov 1994 08:49:37 GMT"},
			"Date": {"x"}}, 37 * time.Second, true},
		{"the first of two", header{"Retry-After": {"1", "2"}}, time.Second, true},
	} {
		if got, ok := fault.ParseRetryAfter(tc.h, served); got != tc.want || ok != tc.ok {
			t.Errorf("%s: %v, %v, want %v, %v", tc.name, got, ok, tc.want, tc.ok)
		}
	}
}

// disagree are vectors of libraries that decide differently. They cut delays above a limit, which
// the policy rejects here. They reject a fraction of a second. They read a number as a time. One
// ignores a negative delay.
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
	load(t, "retry-after.json", &vectors)
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
		got, ok := fault.ParseRetryAfter(h, now)
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

// vectorWant is the delay that a vector expects, or -1 for no Retry-After delay.
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

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"120", "1.5", "-1", "Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "1e999", ":60 ",
		"1m30s", "PT1H", "30 seconds", "1994-11-06T08:49:37Z"} {
		f.Add(s, int64(784111740))
	}
	f.Fuzz(func(t *testing.T, s string, now int64) {
		for _, name := range []string{"Retry-After", "Retry-After-Ms", "X-Amz-Retry-After"} {
			got, ok := fault.ParseRetryAfter(map[string][]string{name: {s}}, time.Unix(now, 0))
			if got < 0 || !ok && got != 0 || got > math.MaxInt64/5*4 {
				t.Errorf("%s %q = %v, %v, want a delay with room for jitter", name, s, got, ok)
			}
		}
	})
}

// RFC 9110, 5.6.7: a year of two digits that seems more than 50 years ahead lies in the past.
func TestTwoDigitYears(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]bool{
		now.AddDate(50, 0, -1): true, now.AddDate(50, 0, 1): false, now.AddDate(0, 0, 1): true,
		now.AddDate(-1, 0, 0): false,
	} {
		h := map[string][]string{"Retry-After": {at.Format("Monday, 02-Jan-06 15:04:05 GMT")}}
		d, ok := fault.ParseRetryAfter(h, now)
		if !ok || (d > 0) != want {
			t.Errorf("%v: got a delay of %v, %v, want one in the future: %v", at, d, ok, want)
		}
	}
}
