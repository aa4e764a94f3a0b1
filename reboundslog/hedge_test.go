package reboundslog_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound/hedge"
)

func TestHedgeLines(t *testing.T) {
	for _, row := range []struct {
		event hedge.Event
		want  string
	}{
		{hedge.Event{Kind: hedge.Started, Hedge: "ocr", Leg: 2, Elapsed: time.Second},
			`level=DEBUG msg="rebound: hedge started" hedge=ocr leg=2 elapsed=1s`},
		{hedge.Event{Kind: hedge.Won, Hedge: "ocr", Leg: 3},
			`level=DEBUG msg="rebound: hedge won" hedge=ocr leg=3 elapsed=0s`},
		{hedge.Event{Kind: hedge.Lost, Hedge: "ocr", Leg: 2},
			`level=DEBUG msg="rebound: hedge lost" hedge=ocr leg=2 elapsed=0s`},
		{hedge.Event{Kind: hedge.Denied, Hedge: "ocr", Leg: 2, Reason: hedge.TooMany},
			`level=INFO msg="rebound: hedge denied" hedge=ocr leg=2 reason=share elapsed=0s`},
		{hedge.Event{Kind: hedge.Won, Hedge: "ocr", Leg: 1}, ""},
		{hedge.Event{Kind: hedge.Lost, Hedge: "ocr", Leg: 1}, ""},
	} {
		var b bytes.Buffer
		into(&b).OnHedge(t.Context(), row.event)
		if got := strings.TrimSuffix(b.String(), "\n"); got != row.want {
			t.Errorf("got\n%s\nwant\n%s", got, row.want)
		}
	}
}

// Denied hedges do not flood the log, and do not count as lines of a policy with the same name.
func TestHedgesDoNotFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := into(&b)
		for range 100 {
			l.OnHedge(t.Context(), hedge.Event{Kind: hedge.Denied, Hedge: "ocr", Leg: 2})
			l.OnHedge(t.Context(), hedge.Event{Kind: hedge.Started, Hedge: "ocr", Leg: 2})
		}
		l.Observe(t.Context(), event("gave_up", "ocr"))
		time.Sleep(time.Minute)
		synctest.Wait()
		for line, want := range map[string]int{
			`msg="rebound: hedge denied"`:  10,
			`msg="rebound: hedge started"`: 10,
			`msg="rebound: gave up"`:       1,
			`level=INFO msg="rebound: lines dropped" hedge=ocr message="rebound: hedge denied" ` +
				`dropped=90 period=10s`: 1,
			`level=DEBUG msg="rebound: lines dropped" hedge=ocr message="rebound: hedge started" ` +
				`dropped=90 period=10s`: 1,
		} {
			if n := strings.Count(b.String(), line); n != want {
				t.Errorf("%d lines with %s, want %d", n, line, want)
			}
		}
	})
}
