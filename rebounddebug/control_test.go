package rebounddebug_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/rebounddebug"
)

// order posts an order as a program on the same machine, with a token if there is one.
func order(h http.Handler, token, id, set string, header ...string) *httptest.ResponseRecorder {
	form := url.Values{"breaker": {id}, "set": {set}}.Encode()
	r := httptest.NewRequest(http.MethodPost, address, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestControl(t *testing.T) {
	b := &breaker.Breaker{Name: "ocr"}
	h := rebounddebug.Handler(rebounddebug.Options{
		Breakers: []rebounddebug.Breaker{b}, ControlToken: "sesame",
	})
	for _, row := range []struct {
		set    string
		want   breaker.State
		forced bool
	}{
		{"open", breaker.Open, true}, {"half-open", breaker.HalfOpen, false},
		{"closed", breaker.Closed, true}, {"open", breaker.Open, true},
		{"reset", breaker.Closed, false},
	} {
		w := order(h, "sesame", "ocr", row.set)
		if got := b.Snapshot(); w.Code != 200 || got.State != row.want || got.Forced != row.forced {
			t.Errorf("%s: status %d, %v, forced: %t; want %v, %t",
				row.set, w.Code, got.State, got.Forced, row.want, row.forced)
		}
	}
	if v := look(t, h); !v.Control {
		t.Error("the page does not show that breakers may be controlled")
	}
}

// A rejected order changes nothing.
func TestControlIsRefused(t *testing.T) {
	b := &breaker.Breaker{Name: "ocr"}
	page := func(token string) http.Handler {
		return rebounddebug.Handler(rebounddebug.Options{
			Breakers: []rebounddebug.Breaker{b}, ControlToken: token,
		})
	}
	for _, row := range []struct {
		name       string
		configured string
		token      string
		id, set    string
		header     []string
		want       int
	}{
		{"off", "", "", "ocr", "open", nil, 403},
		{"off, empty token", "", " ", "ocr", "open", nil, 403},
		{"no token", "sesame", "", "ocr", "open", nil, 401},
		{"wrong token", "sesame", "sesamf", "ocr", "open", nil, 401},
		{"half a token", "sesame", "ses", "ocr", "open", nil, 401},
		{"other scheme", "sesame", "", "ocr", "open",
			[]string{"Authorization", "Basic sesame"}, 401},
		{"other site", "sesame", "sesame", "ocr", "open",
			[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"same site, other origin", "sesame", "sesame", "ocr", "open",
			[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{"old browser, other origin", "sesame", "sesame", "ocr", "open",
			[]string{"Origin", "http://evil.example"}, 403},
		{"sandboxed", "sesame", "sesame", "ocr", "open", []string{"Origin", "null"}, 403},
		{"no such breaker", "sesame", "sesame", "vision", "open", nil, 404},
		{"no such order", "sesame", "sesame", "ocr", "ajar", nil, 400},
		{"too much", "sesame", "sesame", strings.Repeat("x", 1<<13), "open", nil, 400},
		{"no form", "sesame", "sesame", "ocr", "open",
			[]string{"Content-Type", "application/json"}, 400},
	} {
		w := order(page(row.configured), row.token, row.id, row.set, row.header...)
		if w.Code != row.want || b.Snapshot().Generation != 0 {
			t.Errorf("%s: status %d, %s; breaker %+v; want %d and no change",
				row.name, w.Code, w.Body, b.Snapshot(), row.want)
		}
	}
	lower := []string{"Authorization", "bearer sesame"}
	if w := order(page("sesame"), "", "ocr", "reset", lower...); w.Code != 200 {
		t.Errorf("the scheme in lower case: status %d, %s; want 200", w.Code, w.Body)
	}
	same := []string{"Origin", "http://localhost:8080", "Sec-Fetch-Site", "same-origin"}
	if w := order(page("sesame"), "sesame", "ocr", "open", same...); w.Code != 200 {
		t.Errorf("the page itself: status %d, %s; want 200", w.Code, w.Body)
	}
	r := httptest.NewRequest(http.MethodGet, address+"?breaker=ocr&set=reset", nil)
	r.Header.Set("Authorization", "Bearer sesame")
	page("sesame").ServeHTTP(httptest.NewRecorder(), r)
	if b.State() != breaker.Open {
		t.Error("a GET has closed the breaker")
	}
}

// Any number of breakers with one name have different ids, even beside a name that looks like an
// id. With work for each pair of them, this would take minutes.
func TestControlOfOneName(t *testing.T) {
	var all []rebounddebug.Breaker
	for _, name := range []string{"a", "a #2", "a", "a #2", "a"} {
		all = append(all, &breaker.Breaker{Name: name})
	}
	for range 50_000 {
		all = append(all, &breaker.Breaker{})
	}
	h := rebounddebug.Handler(rebounddebug.Options{Breakers: all, ControlToken: "sesame"})
	for i, id := range []string{"a", "a #2", "a #3", "a #2 #2", "a #4", "(unnamed)", "(unnamed) #2"} {
		w := order(h, "sesame", id, "open")
		if got := all[i].Snapshot().State; w.Code != http.StatusOK || got != breaker.Open {
			t.Errorf("%s: status %d, %v, want that breaker %d is open", id, w.Code, got, i)
		}
	}
	last := all[len(all)-1]
	order(h, "sesame", "(unnamed) #50000", "open")
	if got := last.Snapshot().State; got != breaker.Open {
		t.Errorf("got %v, want that the last one is open", got)
	}
}
