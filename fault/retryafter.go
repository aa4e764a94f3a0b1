package fault

import (
	"strconv"
	"strings"
	"time"
)

// longestWait, 146 years, is what a longer wait is cut to: a quarter more still fits a Duration.
const longestWait = time.Duration(1 << 62)

// ParseRetryAfter reads the wait that a response asks for: the milliseconds of Retry-After-Ms, else the
// seconds or the date of Retry-After, else the milliseconds of X-Amz-Retry-After. Seconds and
// milliseconds may have a fraction; a date may have any of the three forms of RFC 9110, section
// 5.6.7, is compared to the response's own Date if there is one, lest the two clocks differ, and
// is a wait of 0 when it is past. A value that is malformed or negative counts as absent. ok says
// whether there is a wait, which may be 0. The header is an http.Header.
func ParseRetryAfter(header map[string][]string, now time.Time) (wait time.Duration, ok bool) {
	return retryAfter(valuesOf(header), now)
}

func retryAfter(header values, now time.Time) (time.Duration, bool) {
	if d, ok := parseNumber(header("Retry-After-Ms"), time.Millisecond); ok {
		return d, true
	}
	if v := strings.TrimSpace(header("Retry-After")); v != "" {
		if d, ok := parseNumber(v, time.Second); ok {
			return d, true
		}
		if served, ok := parseDate(header("Date"), now); ok {
			now = served
		}
		if at, ok := parseDate(v, now); ok {
			return min(max(at.Sub(now), 0), longestWait), true
		}
	}
	return parseNumber(header("X-Amz-Retry-After"), time.Millisecond)
}

// parseNumber reads digits with an optional fraction, and nothing else that a float may be.
func parseNumber(s string, unit time.Duration) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if s == "" || s[0] == '.' || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil && n == 0 {
		return 0, false
	}
	if d := n * float64(unit); d < float64(longestWait) {
		return time.Duration(d + 0.5), true
	}
	return longestWait, true
}

// dateForms are those of RFC 9110: today's, of which some servers drop the leading zero of the
// day, and two that are obsolete but to be accepted.
var dateForms = [...]string{
	"Mon, 2 Jan 2006 15:04:05 GMT",
	"Monday, 02-Jan-06 15:04:05 GMT",
	time.ANSIC,
}

// parseDate reads an HTTP date. A leap second counts as the one after it, a zone called UTC as
// GMT. A year of two digits lies less than 50 years ahead of now, as RFC 9110 demands.
func parseDate(s string, now time.Time) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if zoned, ok := strings.CutSuffix(s, " UTC"); ok {
		s = zoned + " GMT"
	}
	var leap time.Duration
	if strings.Contains(s, ":60 ") {
		s, leap = strings.Replace(s, ":60 ", ":59 ", 1), time.Second
	}
	for i, form := range dateForms {
		t, err := time.Parse(form, s)
		if err != nil {
			continue
		}
		if i == 1 {
			t = nearest(t, now)
		}
		return t.Add(leap), true
	}
	return time.Time{}, false
}

// nearest moves t by whole centuries until it is at most 50 years after now, and as late as that
// allows.
func nearest(t, now time.Time) time.Time {
	century := (now.Year() + 50) / 100 * 100
	t = t.AddDate(century-t.Year()/100*100, 0, 0)
	if t.After(now.AddDate(50, 0, 0)) {
		t = t.AddDate(-100, 0, 0)
	}
	return t
}
