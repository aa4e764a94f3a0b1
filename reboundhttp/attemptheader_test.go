package reboundhttp

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// Requests after the first are numbered, hedges included. Neither the caller's header nor that of
// another request is changed.
func TestAttemptHeader(t *testing.T) {
	const name = "X-Retry-Attempt"
	for _, row := range []struct {
		name    string
		tr      *Transport
		header  http.Header
		steps   []step
		numbers []string
	}{
		{"not asked for", &Transport{}, nil, []step{status(500), status(200)}, []string{"", ""}},
		{"first is good", &Transport{AttemptHeader: name}, nil, []step{status(200)}, []string{""}},
		{"retries", &Transport{AttemptHeader: name}, nil,
			[]step{status(500), status(500), status(200)}, []string{"", "2", "3"}},
		{"another name", &Transport{AttemptHeader: "x-try"}, nil,
			[]step{status(500), status(200)}, []string{"", "2"}},
		{"hedges", &Transport{AttemptHeader: name, Hedge: after100(1)}, nil,
			[]step{after(120*ms, status(500)), after(10*ms, status(500)), hangs, status(200)},
			[]string{"", "2", "3", "4"}},
		{"with a header", &Transport{AttemptHeader: name, IdempotencyKeys: true},
			http.Header{"A": {"b"}}, []step{status(500), status(200)}, []string{"", "2"}},
		{"with that of a proxy's client", &Transport{AttemptHeader: name},
			http.Header{name: {"7"}}, []step{status(500), status(200)}, []string{"7", "2"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := play(row.steps...)
				row.tr.Base, row.tr.Policy = base, seconds()
				req := request(t, "PUT", "q")
				req.Header = row.header.Clone()
				resp, err := row.tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				read(t, resp)
				var numbers []string
				for _, sent := range base.sent {
					numbers = append(numbers, sent.header.Get(cmp.Or(row.tr.AttemptHeader, name)))
				}
				if !slices.Equal(numbers, row.numbers) {
					t.Errorf("requests are numbered %q, want %q", numbers, row.numbers)
				}
				if req.Header.Get(name) != row.header.Get(name) || len(req.Header) != len(row.header) {
					t.Errorf("the caller's header has become %v", req.Header)
				}
			})
		})
	}
	for _, bad := range []string{"X Retry", "X-Retry:", "ä", "\n"} {
		err := (&Transport{AttemptHeader: bad}).Validate()
		if err == nil || !strings.Contains(err.Error(), "AttemptHeader") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
