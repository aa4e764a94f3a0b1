package fault

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// longestDelay, 146 years, is the longest delay that counts as valid. It leaves room for the
// quarter that a policy adds, which must still fit a Duration.
const longestDelay = time.Duration(1 << 62)

// parseDelay reads a number of seconds, a date, which may be past, or a duration. Some servers send
// a duration although RFC 9110 allows only seconds or a date.
func parseDelay(s string, now time.Time) (time.Duration, bool) {
	if d, ok := parseNumber(s, time.Second); ok {
		return d, true
	}
	if at, ok := parseDate(s, now); ok {
		return inBounds(at.Sub(now))
	}
	return parseDuration(s)
}

// parseReset is parseDelay, except that a large number is a time since 1970. A billion seconds are
// 31 years, so it cannot be a delay.
func parseReset(s string, now time.Time) (time.Duration, bool) {
	x, ok := parseFloat(s)
	switch {
	case !ok || x < 1e9:
		return parseDelay(s, now)
	case x >= 1e15: // no time in milliseconds for 30,000 years
		return 0, false
	// Below this, the number is in seconds: as milliseconds it would be a date before 2002.
	case x < 1e12:
		x *= 1000
	}
	return inBounds(time.UnixMilli(int64(x)).Sub(now))
}

// inBounds makes ok false for a delay that is too long to be meant.
func inBounds(d time.Duration) (time.Duration, bool) {
	if d >= longestDelay {
		return 0, false
	}
	return d, true
}

func parseMilliseconds(s string, _ time.Time) (time.Duration, bool) {
	return parseNumber(s, time.Millisecond)
}

func parseNumber(s string, unit time.Duration) (time.Duration, bool) {
	n, ok := parseFloat(s)
	d := n * float64(unit)
	if !ok || d >= float64(longestDelay) {
		return 0, false
	}
	// Rounded, because 0.3 s in binary is a little less than that and would otherwise lose a
	// nanosecond.
	return time.Duration(d + 0.5), true
}

// parseFloat reads digits with an optional fraction. It accepts nothing else that strconv does,
// such as a sign, an exponent or "inf".
func parseFloat(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if s == "" || s[0] == '.' || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// units are those of Go's durations, and the words that servers use.
var units = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond,
	"millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"s": time.Second, "sec": time.Second, "secs": time.Second,
	"second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute,
	"minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
}

// parseDuration reads numbers with units, such as 1m30s or 30 seconds, and ISO 8601's form P1DT30S.
func parseDuration(s string) (time.Duration, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if iso, ok := strings.CutPrefix(s, "p"); ok {
		s = strings.Replace(iso, "t", "", 1)
	}
	d, rest, ok := scanDuration(s)
	return d, ok && rest == ""
}

// scanDuration reads the numbers with units at the start of s, which is in lower case, and returns
// what follows them. ok reports whether there are any.
func scanDuration(s string) (d time.Duration, rest string, ok bool) {
	// The sum is a float, so that it cannot overflow before it is compared with the limit.
	total := 0.0
	for {
		number := len(s) - len(strings.TrimLeft(s, "0123456789."))
		n, isNumber := parseFloat(s[:number])
		word := strings.TrimLeft(s[number:], " ")
		end := strings.IndexFunc(word, func(r rune) bool { return !unicode.IsLetter(r) })
		if end < 0 {
			end = len(word)
		}
		// A number without a known unit ends the duration. "20 requests" is not a delay.
		unit := units[word[:end]]
		if !isNumber || unit == 0 {
			break
		}
		total += n * float64(unit)
		ok = true
		s = strings.TrimLeft(word[end:], " ")
	}
	if total >= float64(longestDelay) {
		return 0, s, false
	}
	return time.Duration(total + 0.5), s, ok
}

// httpDates are the forms of RFC 9110: the current one, in which some servers omit the leading zero
// of the day, and two obsolete ones that must be accepted.
var httpDates = [...]string{
	"Mon, 2 Jan 2006 15:04:05 GMT",
	"Monday, 02-Jan-06 15:04:05 GMT",
	time.ANSIC,
}

// isoDates are the forms of ISO 8601 in use, and others that look like them. Without a zone they
// are in UTC.
var isoDates = [...]string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "20060102T150405Z0700",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05 MST",
	"2006-01-02 15:04:05",
}

// parseDate reads a date. A leap second counts as the second after it, and a zone called UTC as
// GMT. A year of two digits is at most 50 years ahead of now, as RFC 9110 requires.
func parseDate(s string, now time.Time) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}, false
	}
	if s[0] >= '0' && s[0] <= '9' {
		return parseISODate(s)
	}
	if zoned, ok := strings.CutSuffix(s, " UTC"); ok {
		s = zoned + " GMT"
	}
	// time.Parse rejects a leap second, which RFC 9110 allows.
	var leap time.Duration
	if strings.Contains(s, ":60 ") {
		s, leap = strings.Replace(s, ":60 ", ":59 ", 1), time.Second
	}
	for i, form := range httpDates {
		t, err := time.Parse(form, s)
		if err != nil {
			continue
		}
		// Only the form of RFC 850 has a year of two digits.
		if i == 1 {
			t = nearest(t, now)
		}
		return t.Add(leap), true
	}
	return time.Time{}, false
}

func parseISODate(s string) (time.Time, bool) {
	for _, form := range isoDates {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// serverTime is the response's own Date, or now if it has none.
func serverTime(h map[string][]string, now time.Time) time.Time {
	if at, ok := parseDate(first(h, "Date"), now); ok {
		return at
	}
	return now
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
