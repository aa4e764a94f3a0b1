package fault_test

import (
	"math"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

var served = time.Date(1994, 11, 6, 8, 49, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	const longest = time.Duration(1 << 62)
	for _, tc := range []struct {
		value string
		want  time.Duration
		ok    bool
	}{
		{"120", 2 * time.Minute, true},
		{" 1 ", time.Second, true},
		{"0", 0, true},
		{"1.5", 1500 * time.Millisecond, true},
		{"0.0000000001", 0, true},
		{"9223372036", longest, true},
		{"99999999999999999999999999999999999", longest, true},
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
		{"1994-11-06T08:49:37Z", 0, false},
		{"Wed, 01 Jan 9999 00:00:00 GMT", longest, true},
	} {
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

// TestRetryAfterVectors replays what other clients' tests say, as far as it is about reading the
// header: what they do with a wait that is too long differs, and is the policy's to decide here.
func TestRetryAfterVectors(t *testing.T) {
	var file struct {
		Cases []struct {
			ID    string
			Given struct {
				Header, Format string
				Value          *string
				Now            time.Time
				MaxS           any     `json:"max_s"`
				Honoured       float64 `json:"max_honoured_s"`
				Also           map[string]string
			}
			Expect struct {
				Delay    *float64 `json:"delay_s"`
				Sleep    *float64 `json:"sleep_s"`
				Invalid  bool
				Fallback string
			}
		}
	}
	load(t, "retry-after.json", &file)
	tried := 0
	for _, c := range file.Cases {
		given, expect := c.Given, c.Expect
		if given.Value == nil || given.MaxS != nil || given.Format != "" || given.Also != nil ||
			(*given.Value + " ")[0] == '<' || c.ID == "oai-empty-1" || !readable[given.Header] {
			continue
		}
		tried++
		h := respond(0, given.Header, *given.Value).Header
		got, ok := fault.ParseRetryAfter(h, given.Now)
		switch {
		case expect.Fallback != "":
			if ok && got > 0 && got <= time.Duration(given.Honoured)*time.Second {
				t.Errorf("%s: %q = %v, want none, or one too long", c.ID, *given.Value, got)
			}
		case expect.Invalid && ok:
			t.Errorf("%s: %q = %v, want none", c.ID, *given.Value, got)
		case expect.Delay != nil && got.Seconds() != *expect.Delay && *expect.Delay >= 0:
			t.Errorf("%s: %q = %v, want %v s", c.ID, *given.Value, got, *expect.Delay)
		case expect.Sleep != nil && got.Seconds() != *expect.Sleep:
			t.Errorf("%s: %q = %v, want %v s", c.ID, *given.Value, got, *expect.Sleep)
		}
	}
	if tried < 35 {
		t.Errorf("tried %d vectors, want at least 35", tried)
	}
}

var readable = map[string]bool{"Retry-After": true, "x-amz-retry-after": true}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"120", "1.5", "-1", "Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "1e999", ":60 "} {
		f.Add(s, int64(784111740))
	}
	f.Fuzz(func(t *testing.T, s string, now int64) {
		for _, name := range []string{"Retry-After", "Retry-After-Ms", "X-Amz-Retry-After"} {
			got, ok := fault.ParseRetryAfter(map[string][]string{name: {s}}, time.Unix(now, 0))
			if got < 0 || !ok && got != 0 || got > math.MaxInt64/5*4 {
				t.Errorf("%s %q = %v, %v, want a wait that has room for jitter", name, s, got, ok)
			}
		}
	})
}
