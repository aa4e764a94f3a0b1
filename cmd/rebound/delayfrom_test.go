package main

import (
	"strings"
	"testing"
	"time"
)

func TestDelayFromOutput(t *testing.T) {
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	const again = `again in (.+)`
	for _, row := range []struct {
		expression, output string
		want               time.Duration // -1 = an error
	}{
		{again, "nothing", 0},
		{again, "again in 5", 5 * time.Second},
		{again, "again in 0.25", 250 * time.Millisecond},
		{again, "again in  7 ", 7 * time.Second},
		{again, "again in 1m30s", 90 * time.Second},
		{again, "again in 6m0s", 6 * time.Minute},
		{again, "again in 20ms", 20 * time.Millisecond},
		{again, "again in 1.5s", 1500 * time.Millisecond},
		{again, "again in 30 seconds", 30 * time.Second},
		{again, "again in 1 minute and 5 seconds", 65 * time.Second},
		{again, "again in 1 hour, 2 mins", 62 * time.Minute},
		{again, "again in 2 Days", 48 * time.Hour},
		{again, "again in 500 milliseconds", 500 * time.Millisecond},
		{again, "again in 0", 0},
		{again, "again in Sat, 28 Nov 2026 09:00:30 GMT", 30 * time.Second},
		{again, "again in 2026-11-28T09:01:00Z", time.Minute},
		{again, "again in a while", -1},
		{again, "again in -5", -1},
		{again, "again in 5 parsecs", -1},
		{again, "again in 5 seconds or so", -1},
		{again, "again in 1e9", -1},
		{again, "again in 99999999999999999999", -1},
		{again, "again in 100000 days 100000 days", -1},
		{again, "again in 5\nagain in 8\nno", 8 * time.Second},
		{`ms=(?P<ms>\d+)`, "ms=1500", 1500 * time.Millisecond},
		{`(?P<m>\d+) to go`, "3 to go", 3 * time.Minute},
		{`(?P<ms>\S+) to go`, "3s to go", 3 * time.Second},
		{`(?P<wait>\d+) to go`, "3 to go", 3 * time.Second},
		{`wait (\d+)s|pause (\d+)s`, "pause 4s", 4 * time.Second},
	} {
		var p delayPattern
		set(t, &p, row.expression)
		for line := range strings.SplitSeq(row.output, "\n") {
			p.look([]byte(line))
		}
		got, err := p.delay(now)
		if (err != nil) != (row.want < 0) || err == nil && got != row.want {
			t.Errorf("%s, %q: got %v, %v, want %v", row.expression, row.output, got, err, row.want)
		}
	}
}

// Several expressions add up.
func TestDelayFromSeveral(t *testing.T) {
	var p delayPattern
	set(t, &p, `wait (\d+)`)
	set(t, &p, `pause (\d+)`)
	p.look([]byte("pause 2"))
	p.look([]byte("wait 1"))
	p.look([]byte("neither 3"))
	if got, err := p.delay(time.Now()); got != time.Second || err != nil {
		t.Errorf("got %v, %v, want that of the last matching line", got, err)
	}
}
