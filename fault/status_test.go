package fault_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// want is what one status or a span of them means.
var statuses = []struct {
	from, to int
	kind     fault.Kind
	sent     fault.Sent
}{
	{0, 0, transient, maybe},
	{1, 99, unknown, maybe},
	{400, 407, permanent, notDone},
	{408, 408, transient, notDone},
	{409, 420, permanent, notDone},
	{421, 421, transient, notDone},
	{422, 424, permanent, notDone},
	{425, 425, transient, notDone},
	{426, 428, permanent, notDone},
	{429, 429, fault.RateLimited, notDone},
	{430, 498, permanent, notDone},
	{499, 499, transient, maybe},
	{500, 500, transient, maybe},
	{501, 501, permanent, notDone},
	{502, 502, transient, maybe},
	{503, 503, overloaded, maybe},
	{504, 504, transient, maybe},
	{505, 506, permanent, notDone},
	{507, 507, transient, maybe},
	{508, 508, permanent, notDone},
	{509, 509, transient, maybe},
	{510, 511, permanent, notDone},
	{512, 528, transient, maybe},
	{529, 529, overloaded, notDone},
	{530, 599, transient, maybe},
	{600, 998, unknown, maybe},
	{999, 999, transient, maybe},
	{-1, -1, unknown, maybe},
}

func TestStatus(t *testing.T) {
	for _, span := range statuses {
		for code := span.from; code <= span.to; code++ {
			want := fault.Fault{Kind: span.kind, Sent: span.sent,
				Detail: "status " + strconv.Itoa(code)}
			if got := fault.Status(code); got != want {
				t.Errorf("Status(%d) = %+v, want %+v", code, got, want)
			}
		}
	}
	for code := 100; code < 400; code++ {
		if got := fault.Status(code); got != (fault.Fault{Kind: fault.None}) {
			t.Errorf("Status(%d) = %+v, want none", code, got)
		}
	}
}

func TestResponse(t *testing.T) {
	checkResponses(t, []responseRow{
		{"no header", 503, nil, fault.Fault{Kind: overloaded, Detail: "status 503"}},
		{"wait", 503, respond(0, "Retry-After", "120").Header,
			fault.Fault{Kind: overloaded, After: 2 * time.Minute, Detail: "status 503"}},
		{"date", 429, respond(0, "Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT").Header,
			fault.Fault{Kind: fault.RateLimited, Sent: notDone, After: 37 * time.Second,
				Detail: "status 429"}},
		{"success", 200, respond(0, "Retry-After", "1", "X-Should-Retry", "true").Header,
			fault.Fault{Kind: fault.None}},
		{"413", 413, nil, fault.Fault{Kind: permanent, Sent: notDone, Detail: "status 413"}},
		{"413 for now", 413, respond(0, "Retry-After", "2").Header, fault.Fault{Kind: transient,
			Sent: notDone, After: 2 * time.Second, Detail: "status 413"}},
		{"413 for this moment", 413, respond(0, "Retry-After", "0").Header,
			fault.Fault{Kind: transient, Sent: notDone, Detail: "status 413"}},
		{"404 with a wait", 404, respond(0, "Retry-After", "2").Header, fault.Fault{
			Kind: permanent, Sent: notDone, After: 2 * time.Second, Detail: "status 404"}},
		{"stripe says yes", 409, respond(0, "Stripe-Should-Retry", "true").Header,
			fault.Fault{Kind: transient, Sent: notDone, Detail: "status 409, x-should-retry"}},
		{"yes changes no rate limit", 429, respond(0, "X-Should-Retry", "true").Header,
			fault.Fault{Kind: fault.RateLimited, Sent: notDone, Detail: "status 429"}},
		{"no to a rate limit", 429, respond(0, "X-Should-Retry", "false").Header,
			fault.Fault{Kind: permanent, Sent: notDone, Detail: "status 429, x-should-retry"}},
		{"neither", 500, respond(0, "X-Should-Retry", "perhaps").Header,
			fault.Fault{Kind: transient, Detail: "status 500"}},
	})
}

// TestResponseLimits: rate limits count for a 429, and for a 403 if nothing remains.
func TestResponseLimits(t *testing.T) {
	checkResponses(t, []responseRow{
		{"403", 403, nil, fault.Fault{Kind: permanent, Sent: notDone, Detail: "status 403"}},
		{"403, a secondary limit", 403, respond(0, "Retry-After", "2").Header,
			fault.Fault{Kind: fault.RateLimited, Sent: notDone, After: 2 * time.Second,
				Detail: "status 403"}},
		{"403, nothing remains", 403, respond(0, "X-RateLimit-Remaining", "0",
			"X-RateLimit-Reset", "5").Header,
			fault.Fault{Kind: fault.RateLimited, Sent: notDone, After: 5 * time.Second,
				Detail: "status 403"}},
		{"403, nothing remains, no reset", 403, respond(0, "X-RateLimit-Remaining", "0").Header,
			fault.Fault{Kind: fault.RateLimited, Sent: notDone, Detail: "status 403"}},
		{"403, nothing remains of one", 403, respond(0, "X-RateLimit-Remaining-A", "7",
			"X-RateLimit-Remaining-B", "0", "X-RateLimit-Remaining-C", "8").Header,
			fault.Fault{Kind: fault.RateLimited, Sent: notDone, Detail: "status 403"}},
		{"403, something remains", 403, respond(0, "X-RateLimit-Remaining", "9",
			"X-RateLimit-Reset", "5").Header,
			fault.Fault{Kind: permanent, Sent: notDone, Detail: "status 403"}},
		{"403, the draft's limit", 403, respond(0, "RateLimit", `"a";r=0;t=5`).Header,
			fault.Fault{Kind: fault.RateLimited, Sent: notDone, After: 5 * time.Second,
				Detail: "status 403"}},
		{"429, a limit", 429, respond(0, "X-RateLimit-Remaining", "0",
			"X-RateLimit-Reset", "5").Header,
			fault.Fault{Kind: fault.RateLimited, Sent: notDone, After: 5 * time.Second,
				Detail: "status 429"}},
		{"a limit of another failure", 500, respond(0, "X-RateLimit-Remaining", "0",
			"X-RateLimit-Reset", "5").Header,
			fault.Fault{Kind: transient, Detail: "status 500"}},
	})
}

type responseRow struct {
	name   string
	code   int
	header http.Header
	want   fault.Fault
}

func checkResponses(t *testing.T, rows []responseRow) {
	t.Helper()
	now := time.Date(1994, 11, 6, 8, 49, 0, 0, time.UTC)
	for _, tc := range rows {
		if got := fault.Response(tc.code, tc.header, now); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add(429, "3", "true")
	f.Add(-1, "Sun, 06 Nov 1994 08:49:37 GMT", "false")
	f.Fuzz(func(t *testing.T, code int, after, should string) {
		h := http.Header{"Retry-After": {after}, "X-Should-Retry": {should}}
		got := fault.Response(code, h, time.Unix(784111740, 0))
		if answered := code >= 100 && code < 400; answered != (got == fault.Fault{Kind: fault.None}) {
			t.Errorf("Response(%d) = %+v: a failure and only a failure has a fault", code, got)
		}
		if got.Sent != fault.Status(code).Sent || got.After < 0 {
			t.Errorf("Response(%d, %q, %q) = %+v: headers changed what was sent, or the wait is "+
				"negative", code, after, should, got)
		}
	})
}
