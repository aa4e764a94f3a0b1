package rebounddebug_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/rebounddebug"
	"github.com/rebound-go/rebound/stats"
)

const address = "http://localhost:8080/debug/rebound/"

// get asks h for a path below the page's address.
func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, address+path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWhatIsServed(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/debug/rebound/", rebounddebug.Handler(rebounddebug.Options{}))
	const html, browser = "text/html; charset=utf-8", "text/html,application/xhtml+xml,*/*;q=0.8"
	for _, row := range []struct {
		path, accept string
		status       int
		contentType  string
	}{
		{"", "", 200, html},
		{"", "*/*", 200, html},
		{"", browser, 200, html},
		{"", "application/json", 200, "application/json"},
		{"", "text/html, application/json;q=0.9", 200, html},
		{"", "text/html;q=0.5, Application/JSON; q=0.9", 200, "application/json"},
		{"", "application/json;q=0", 200, html},
		{"?format=json", browser, 200, "application/json"},
		{"?format=html", "application/json", 200, html},
		{"page.css", "", 200, "text/css; charset=utf-8"},
		{"page.js", "", 200, "text/javascript; charset=utf-8"},
		{"icon.svg", "", 200, "image/svg+xml"},
		{"index.html", "", 200, html},
		{"rebounddebug.go", "", 404, ""},
		{"..%2frebounddebug.go", "", 404, ""},
		{"page", "", 404, ""},
	} {
		w := get(mux, row.path, "Accept", row.accept)
		got := w.Header().Get("Content-Type")
		if w.Code != row.status || row.status == 200 && got != row.contentType {
			t.Errorf("%q, Accept %q: %d, %q; want %d, %q",
				row.path, row.accept, w.Code, got, row.status, row.contentType)
		}
	}
}

// Every answer forbids everything that the page does not need.
func TestHeaders(t *testing.T) {
	h := rebounddebug.Handler(rebounddebug.Options{})
	for _, path := range []string{"", "?format=json", "page.js", "none", "index.html"} {
		header := get(h, path).Header()
		policy := header.Get("Content-Security-Policy")
		for _, want := range []string{
			"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
			"form-action 'none'",
		} {
			if !strings.Contains(policy, want) {
				t.Errorf("%q: the Content-Security-Policy is %q, want %q in it", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%q: the Content-Security-Policy is %q", path, policy)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			"Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%q: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

// The page is self-contained: it links to no other site, and needs no looser policy.
func TestPageIsSelfContained(t *testing.T) {
	foreign := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|innerHTML|\bstyle=|\son\w+=`)
	err := fs.WalkDir(os.DirFS("page"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile("page/" + name)
		text := strings.ReplaceAll(string(content), "http://www.w3.org/2000/svg", "")
		for _, found := range foreign.FindAllString(text, -1) {
			t.Errorf("%s has %q", name, found)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOtherMethods(t *testing.T) {
	h := rebounddebug.Handler(rebounddebug.Options{})
	for _, row := range []struct {
		method, path string
		want         int
	}{
		{http.MethodHead, "", 200}, {http.MethodHead, "events", 200}, {http.MethodPut, "", 405},
		{http.MethodDelete, "", 405}, {http.MethodPost, "page.js", 405}, {"OPTIONS", "", 405},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(row.method, address+row.path, nil))
		if w.Code != row.want {
			t.Errorf("%s %q: status %d, want %d", row.method, row.path, w.Code, row.want)
		}
	}
}

// view is the part of the JSON that tests check.
type view struct {
	Time     time.Time
	Title    string
	Control  bool
	Total    struct{ Calls, Attempts int64 }
	Policies []struct {
		Policy  string
		Calls   int64
		PerCall float64 `json:"attempts_per_call"`
		Stops   map[string]int64
		Config  *struct {
			Attempts int
			Schedule []time.Duration `json:"schedule_ns"`
			Breaker  string
			Budget   struct {
				Kind            string
				Level, Capacity float64
			}
		}
	}
	Breakers []struct {
		ID, State, Why string
		Forced         bool
		Opened         int
		History        []struct{ From, To, Why string }
	}
	Counts   map[string]int `json:"breaker_counts"`
	LeftOut  map[string]int `json:"breakers_left_out"`
	Failures []struct{ Policy, Kind, Reason, Error string }
}

func look(t *testing.T, h http.Handler) (v view) {
	t.Helper()
	w := get(h, "?format=json")
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v:\n%s", err, w.Body)
	}
	return v
}

func TestNothingToShow(t *testing.T) {
	w := get(rebounddebug.Handler(rebounddebug.Options{}), "?format=json")
	for _, list := range []string{"policies", "breakers", "limits", "hedges", "failures"} {
		if !strings.Contains(w.Body.String(), `"`+list+`": []`) {
			t.Errorf("%s is not an empty list:\n%s", list, w.Body)
		}
	}
}

func TestPolicies(t *testing.T) {
	var recorder stats.Recorder
	set := &budget.Budget{Capacity: 20, Refill: 1e-9}
	for range 5 {
		set.Take()
	}
	h := rebounddebug.Handler(rebounddebug.Options{
		Title: "test", Recorder: &recorder,
		Policies: []*rebound.Policy{
			{Name: "set", Budget: set, Backoff: backoff.Constant(time.Second)},
			{Name: "own", Attempts: 1}, {Name: "none", Budget: budget.Unlimited},
			{Name: "endless", Attempts: rebound.Unlimited}, nil, {Name: "set", Attempts: 9},
		},
	})
	failing(t, &rebound.Policy{Name: "set", Backoff: backoff.Constant(0),
		Observe: recorder.Observe})
	failing(t, &rebound.Policy{Name: "unlisted", Attempts: 1, Observe: recorder.Observe})
	v := look(t, h)
	for i, want := range []struct {
		name     string
		calls    int64
		attempts int
		waits    int
		budget   string
	}{
		{"set", 1, 3, 2, "set"}, {"own", 0, 1, 0, "own"}, {"none", 0, 3, 2, "unlimited"},
		{"endless", 0, -1, 6, "unlimited"}, {"", 0, 3, 2, "own"}, {"unlisted", 1, 0, 0, ""},
	} {
		if i >= len(v.Policies) {
			t.Fatalf("%d policies, want %q among them", len(v.Policies), want.name)
		}
		p := v.Policies[i]
		if p.Policy != want.name || p.Calls != want.calls || (p.Config == nil) != (want.budget == "") {
			t.Errorf("policy %d is %+v, want %+v", i, p, want)
		} else if c := p.Config; c != nil && (c.Attempts != want.attempts ||
			len(c.Schedule) != want.waits || c.Budget.Kind != want.budget) {
			t.Errorf("%q is %+v, want %+v", want.name, *c, want)
		}
	}
	if b := v.Policies[0].Config.Budget; b.Level < 15 || b.Level > 15.01 || b.Capacity != 20 {
		t.Errorf("the budget is %+v, want 15 of 20", b)
	}
	if b := v.Policies[1].Config.Budget; b.Level != 10 || b.Capacity != 10 {
		t.Errorf("a policy's own budget is %+v, want 10 of 10", b)
	}
	if v.Title != "test" || v.Control || v.Total.Calls != 2 || v.Total.Attempts != 4 {
		t.Errorf("got %+v, want 2 calls with 4 attempts in total", v)
	}
	if len(v.Failures) != 2 || v.Failures[1].Reason != "exhausted" ||
		v.Failures[1].Kind != "unknown" {
		t.Errorf("the failures are %+v, want the two calls", v.Failures)
	}
}

// gate is a breaker among a policy's gates.
type refusingGate struct{ breaker.Breaker }

func TestBreakers(t *testing.T) {
	var changes rebounddebug.Changes
	mine := &breaker.Breaker{Name: "mine", Failures: 1, OnChange: changes.OnChange}
	nameless, twin := &breaker.Breaker{}, &breaker.Breaker{Name: "mine"}
	group := &breaker.Group[string]{Template: breaker.Breaker{Name: "host"}}
	group.For("b").ForceOpen()
	group.For("a").ForceClose()
	p := &rebound.Policy{Name: "p", Breaker: mine,
		Gates: []gate.Gate{&refusingGate{breaker.Breaker{Name: "gate"}}}}
	h := rebounddebug.Handler(rebounddebug.Options{
		Policies: []*rebound.Policy{p, {Name: "q", Breaker: nameless}, {Name: "r", Breaker: mine}},
		Breakers: []rebounddebug.Breaker{twin, mine, nil}, Changes: &changes,
		Groups: groups(rebounddebug.Group(group)),
	})
	failing(t, p)
	mine.Reset()
	twin.ForceOpen()
	v := look(t, h)
	var got []string
	for _, b := range v.Breakers {
		line := b.ID + " " + b.State
		for _, c := range b.History {
			line += ", " + c.To + " by " + c.Why
		}
		got = append(got, line)
	}
	want := []string{
		"mine #2 open, open by failures in a row, closed by asked for",         // which shares the name
		"host/b open, open by asked for", "host/a closed, closed by asked for", // which is forced
		"mine closed, open by failures in a row, closed by asked for",
		"gate closed", "q closed",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if got := v.Policies[2].Config.Breaker; got != "mine" {
		t.Errorf("the breaker of r is %q, want mine", got)
	}
}

// A value that cannot be written as JSON leads to an error, not an empty page.
func TestUnwritable(t *testing.T) {
	w := get(rebounddebug.Handler(rebounddebug.Options{
		Breakers: []rebounddebug.Breaker{unmeasured{}},
	}), "?format=json")
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "NaN") {
		t.Errorf("status %d, %q; want 500 and what is wrong", w.Code, w.Body)
	}
}

// unmeasured is a custom breaker whose failure rate is 0 of 0.
type unmeasured struct{ *breaker.Breaker }

func (unmeasured) Snapshot() breaker.Snapshot { return breaker.Snapshot{FailureRate: math.NaN()} }

// A budget with an invalid capacity works with the default one, and the page shows that.
func TestInvalidBudget(t *testing.T) {
	w := get(rebounddebug.Handler(rebounddebug.Options{Policies: []*rebound.Policy{
		{Name: "p", Budget: &budget.Budget{Capacity: math.NaN()}},
	}}), "?format=json")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"capacity": 10`) {
		t.Errorf("status %d, %q; want a capacity of 10", w.Code, w.Body)
	}
}

// Of many breakers, those that are not closed are shown, and the others are counted. All can be
// controlled.
func TestManyBreakers(t *testing.T) {
	group := &breaker.Group[string]{}
	var listed []rebounddebug.Breaker
	for i := range 300 {
		key := fmt.Sprintf("t%03d", i)
		b := group.For(key)
		pass, _ := b.Enter(t.Context())
		b.Leave(pass, gate.Outcome{Result: gate.Failed})
		listed = append(listed, &breaker.Breaker{Name: fmt.Sprint("b", i)})
	}
	group.For("t298").ForceHalfOpen()
	group.For("t299").ForceOpen()
	listed[299].ForceOpen()
	h := rebounddebug.Handler(rebounddebug.Options{
		Breakers: listed, Groups: groups(rebounddebug.Group(group)), ControlToken: "sesame",
	})
	v := look(t, h)
	var first []string
	for _, b := range v.Breakers[:4] {
		first = append(first, b.ID+" "+b.State)
	}
	want := []string{"b299 open", "t299 open", "t298 half-open", "b0 closed"}
	if !slices.Equal(first, want) || len(v.Breakers) != 100 {
		t.Errorf("%d breakers, the first %q; want 100, the first %q", len(v.Breakers), first, want)
	}
	for i, b := range v.Breakers[3:] { // in the order given
		if want := fmt.Sprint("b", i); b.ID != want {
			t.Errorf("closed breaker %d is %q, want %q", i, b.ID, want)
		}
	}
	if got := fmt.Sprint(v.Counts, v.LeftOut); got !=
		"map[closed:597 half-open:1 open:2] map[closed:500]" {
		t.Errorf("counts %s", got)
	}
	if w := order(h, "sesame", "t250", "open"); w.Code != 200 ||
		group.For("t250").State() != breaker.Open {
		t.Errorf("status %d for a breaker that is not shown: %s", w.Code, w.Body)
	}
	if v := look(t, h); v.Breakers[1].ID != "t250" {
		t.Errorf("the second breaker is %q, want t250, which is open now", v.Breakers[1].ID)
	}
	w := get(h, "?format=json&all")
	var all view
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || len(all.Breakers) != 600 {
		t.Errorf("%d breakers with ?all, want 600: %v", len(all.Breakers), err)
	}
}

// Breakers of one state stay in the given order, because a page whose cards move cannot be read.
func TestOrderOfBreakers(t *testing.T) {
	var listed []rebounddebug.Breaker
	var open, closed []string
	for i := range 99 {
		b := &breaker.Breaker{Name: fmt.Sprint("b", i)}
		if i%3 == 1 {
			b.ForceOpen()
			open = append(open, b.Name)
		} else {
			closed = append(closed, b.Name)
		}
		listed = append(listed, b)
	}
	var got []string
	for _, b := range look(t, rebounddebug.Handler(rebounddebug.Options{Breakers: listed})).Breakers {
		got = append(got, b.ID)
	}
	if want := slices.Concat(open, closed); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
