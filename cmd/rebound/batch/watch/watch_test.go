package watch

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/batch"
	"github.com/rebound-go/rebound/limit"
)

type fixed struct{}

func (fixed) Progress() batch.Progress {
	return batch.Progress{Rows: 10, Done: 4, Failed: 2, InDoubt: 1, InFlight: 3, Ended: 6,
		Deferred: 5, Spent: 1.5, Tokens: [2]float64{100, 20}, PerSecond: 0.25,
		Left: 148993 * time.Millisecond}
}

func (fixed) Limits() []limit.Snapshot {
	return []limit.Snapshot{
		{Name: "m requests", Kind: "rate", Limit: 8},
		{Name: "m tokens", Kind: "rate", Limit: 1000},
		{Name: "in flight", Kind: "adaptive", Limit: 64},
		{Name: "other tokens", Kind: "rate"},
	}
}

func get(t *testing.T, h http.Handler, url string) (status int, body string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", url, nil))
	return rec.Code, rec.Body.String()
}

func TestMetrics(t *testing.T) {
	w := &Watch{GivenRequests: true}
	if _, text := get(t, w.Metrics(), "http://localhost/metrics"); text != "" {
		t.Errorf("before the run: %q", text)
	}
	w.Begin(fixed{})
	_, text := get(t, w.Metrics(), "http://localhost/metrics")
	for _, want := range []string{
		`rebound_batch_rows{state="done"} 4`, `rebound_batch_rows{state="failed"} 2`,
		`rebound_batch_rows{state="pending"} 3`, `rebound_batch_rows{state="in_doubt"} 1`,
		`rebound_batch_in_flight 3`, `rebound_batch_in_doubt 1`, `rebound_batch_cost_usd 1.5`,
		`rebound_batch_tokens{kind="input"} 100`, `rebound_batch_tokens{kind="output"} 20`,
		`rebound_batch_limit{kind="requests",source="flag",name="m requests"} 8`,
		`rebound_batch_limit{kind="tokens",source="server",name="m tokens"} 1000`,
		`rebound_batch_limit{kind="in_flight",source="adaptive",name="in flight"} 64`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "other") {
		t.Errorf("an unknown limit is in the output:\n%s", text)
	}
}

func TestPage(t *testing.T) {
	w := &Watch{}
	w.Observe(&rebound.Policy{})
	w.Begin(fixed{})
	for _, tt := range []struct {
		url    string
		status int
		want   string
	}{
		{"http://localhost:8080/", 200, `<progress max="10" value="6">`},
		{"http://localhost:8080/", 200, "<tr><td>rows<td>10\n<tr><td>done<td>4\n<tr><td>failed<td>2\n" +
			"<tr><td>in flight<td>3\n<tr><td>put off<td>5\n<tr><td>in doubt<td>1\n" +
			"<tr><td>rows per second<td>0.2\n<tr><td>spent<td>$1.5000\n" +
			"<tr><td>time left, about<td>2m29s\n"},
		{"http://localhost/policy/?format=json", 200, "batch"},
		{"http://localhost/other", 404, ""},
	} {
		status, body := get(t, w.Page(), tt.url)
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s", tt.url, status, body)
		}
	}
}
