package proxy_test

import (
	"regexp"
	"strings"
	"testing"
)

// row is what the server does, and what a client gets through the proxy.
type row struct {
	name    string
	how     string // ask or stream
	answers func(p provider) []answer
	want    int // requests that reach the server

	text   string
	status int  // of the error; 0 = there is none
	breaks bool // the client's connection breaks, and it fails
	has    func(p provider) string
}

var rows = []row{
	{name: "good", how: "ask", want: 1, text: "Hello!",
		answers: func(p provider) []answer { return []answer{json(200, p.whole)} }},
	{name: "transient", how: "ask", want: 3, text: "Hello!",
		answers: func(p provider) []answer { return []answer{p.busy, reset, json(200, p.whole)} }},
	{name: "breaks off", how: "ask", want: 2, text: "Hello!", answers: func(p provider) []answer {
		return []answer{cut(p.whole[:9]), json(200, p.whole)}
	}},
	// Three attempts of the proxy, which the client's own three do not multiply.
	{name: "busy for ever", how: "ask", want: 3, status: 503,
		answers: func(p provider) []answer { return []answer{p.busy} },
		has:     func(provider) string { return "busy" }},
	{name: "resets for ever", how: "ask", want: 3, status: 502,
		answers: func(provider) []answer { return []answer{reset} },
		has:     func(provider) string { return "rebound_exhausted" }},
	{name: "quota", how: "ask", want: 1, status: 429,
		answers: func(p provider) []answer { return []answer{p.quota} },
		has:     func(p provider) string { return p.quotaHas }},

	{name: "good", how: "stream", want: 1, text: "Hello!",
		answers: func(p provider) []answer { return []answer{stream(p.events...)} }},
	{name: "transient", how: "stream", want: 3, text: "Hello!",
		answers: func(p provider) []answer {
			return []answer{stream(p.events[0], p.crowd), cut(p.events[0]), stream(p.events...)}
		}},
	{name: "overloaded for ever", how: "stream", want: 3, status: 503,
		answers: func(p provider) []answer { return []answer{stream(p.events[0], p.crowd)} }},
	{name: "reset after output", how: "stream", want: 1, breaks: true,
		answers: func(p provider) []answer { return []answer{cut(p.events[:2]...)} }},
	// No client detects this one by itself.
	{name: "ends without its end mark", how: "stream", want: 1, breaks: true,
		answers: func(p provider) []answer { return []answer{stream(p.events[:2]...)} }},
}

func TestClients(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			ask := c.begin(t)
			for _, p := range providers {
				for _, r := range rows {
					t.Run(p.name+" "+r.how+" "+r.name, func(t *testing.T) {
						r.run(t, c, ask, p)
					})
				}
			}
		})
	}
}

func (r row) run(t *testing.T, c client, ask asker, p provider) {
	api := serve(t, r.answers(p)...)
	got := ask(t, start(t, api.URL).url, p.name, r.how)
	status := r.status
	if status == 503 && p.name == "anthropic" {
		status = 529
	}
	if n := int(api.requests.Load()); n != r.want {
		t.Errorf("%d requests reached the API, want %d", n, r.want)
	}
	switch {
	case r.breaks:
		if got.Error == "" {
			t.Errorf("got %+v: half an answer was taken for a whole one", got)
		}
	case status == 0:
		if got != (outcome{Text: r.text}) {
			t.Errorf("got %+v, want %q", got, r.text)
		}
	case got.Status != status || !regexp.MustCompile(c.raises[status]).MatchString(got.Error):
		t.Errorf("got %+v, want status %d, %s", got, status, c.raises[status])
	case c.bodies && r.has != nil && !strings.Contains(got.Error, r.has(p)):
		t.Errorf("got %q, want %q in it", got.Error, r.has(p))
	}
	if r.status == 0 && !r.breaks && r.name == "good" {
		if direct := ask(t, api.URL, p.name, r.how); direct != got {
			t.Errorf("got %+v, want %+v as without the proxy", got, direct)
		}
	}
}
