package sim

import (
	"net/http"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/reboundhttp"
)

// A status has the same kind in a simulation as in reboundhttp, for every cause.
func TestStatusesMeanWhatHTTPClientsMakeOfThem(t *testing.T) {
	errs := causeErrors(&Server{Windows: []Window{{Throttle: 1, RetryAfter: time.Minute}}})
	l := newLayer(&rebound.Policy{}, 1, 1, 0, errs)
	for c, want := range map[cause]struct {
		code int
		head http.Header
	}{
		full:      {503, nil},
		failed:    {500, nil},
		throttled: {429, http.Header{"Retry-After": {"60"}}},
	} {
		answer := reboundhttp.Classify(&http.Response{StatusCode: want.code, Header: want.head}, nil)
		got := l.faults[c]
		got.Err = nil
		if got != answer {
			t.Errorf("status %d: got %+v, reboundhttp has %+v", want.code, got, answer)
		}
	}
}

// A NonIdempotent policy does not retry a 503, which may have been carried out. It retries a
// refused connection and a 429.
func TestNonIdempotentCallsMeetAFullQueue(t *testing.T) {
	p := &rebound.Policy{
		NonIdempotent: true, Attempts: 4, Backoff: backoff.Constant(100 * ms), Budget: budget.Unlimited,
	}
	full := Scenario{
		Duration: 20 * time.Second, Clients: Clients{Rate: 200},
		Server: Server{Workers: 1, Queue: -1, Service: Dist{Mean: 10 * ms}},
	}
	if r := play(t, full, p); r.Retries != 0 || r.Refused == 0 {
		t.Errorf("full queue: got %d retries of %d rejected attempts, want none", r.Retries, r.Refused)
	}
	for _, w := range []Window{{Refuse: 1}, {Throttle: 1}} {
		s := Scenario{Clients: burst(5), Server: Server{Windows: []Window{w}}}
		if r := play(t, s, p); r.Retries != 15 {
			t.Errorf("%+v: got %d retries, want 15", w, r.Retries)
		}
	}
}

// A run that ends during the trouble has no time to recover.
func TestTroubleToTheEnd(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name    string
		windows []Window
		end     time.Duration
		after   bool // there is a time after the trouble
	}{
		{"none", nil, 0, false},
		{"one that ends", []Window{{From: 10 * s, To: 20 * s, Refuse: 1}}, 20 * s, true},
		{"a second outage to the end", []Window{
			{From: 10 * s, To: 20 * s, Refuse: 1}, {From: 40 * s, Refuse: 1},
		}, 60 * s, false},
		{"the same in the other order", []Window{
			{From: 40 * s, Refuse: 1}, {From: 10 * s, To: 20 * s, Refuse: 1},
		}, 60 * s, false},
		{"an overlap that lasts", []Window{
			{From: 10 * s, To: 20 * s, Refuse: 1}, {From: 15 * s, To: 60 * s, Slow: 2},
		}, 60 * s, false},
		{"past the end", []Window{{From: 10 * s, To: 70 * s, BlackHole: 1}}, 60 * s, false},
		{"the whole run is no trouble", []Window{
			{Fail: 0.01}, {From: 10 * s, To: 20 * s, Refuse: 1},
		}, 20 * s, true},
		{"nothing but what is normal", []Window{{Fail: 0.01}}, 0, false},
	} {
		r := run(t, Scenario{
			Duration: time.Minute, Clients: Clients{Rate: 100, Timeout: s},
			Server: Server{Windows: c.windows},
		})
		one := r.Policies[0]
		if r.TroubleEnd != c.end || one.Recovered != c.after || one.Peak > 0 != c.after {
			t.Errorf("%s: got trouble until %v, recovered %v, peak %v; want %v, %v, a peak: %v", c.name,
				r.TroubleEnd, one.Recovered, one.Peak, c.end, c.after, c.after)
		}
	}
}
