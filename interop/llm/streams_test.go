package llm_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/llm"
)

// played is a stream, and how it ends.
type played struct {
	events []string
	reset  bool // instead of a clean end
}

func (p played) serve(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range p.events {
		_, _ = io.WriteString(w, e+"\n\n")
	}
	if p.reset {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

type streamRow struct {
	name  string
	plays func(s sdk) []played // one a request, the last one for ever
	want  func(s sdk, own bool) int
	text  string
	check func(t *testing.T, s sdk, err error)
}

var streamRows = []streamRow{
	{"good", func(s sdk) []played { return []played{{events: s.events}} }, requests(1), "Hello!",
		succeeds},
	{"cut before output", func(s sdk) []played {
		return []played{{events: s.events[:1]}, {events: nil}, {events: s.events}}
	}, requests(3), "Hello!", succeeds},
	{"reset before output", func(s sdk) []played {
		return []played{{s.events[:1], true}, {nil, true}, {events: s.events}}
	}, requests(3), "Hello!", succeeds},
	{"overload before output", func(s sdk) []played {
		return []played{{events: []string{s.events[0], s.crowd}}, {events: s.events}}
	}, requests(2), "Hello!", succeeds},
	{"overload for ever", func(s sdk) []played {
		return []played{{events: []string{s.events[0], s.crowd}}}
	}, requests(3), "", overloaded},
	{"cut before output for ever", func(s sdk) []played { return []played{{events: s.events[:1]}} },
		func(s sdk, own bool) int {
			if own {
				return 3 + s.defaults - 1 // which is no product
			}
			return 3
		}, "", broken(false)},
	{"cut after output", func(s sdk) []played { return []played{{events: s.events[:2]}} },
		requests(1), "Hello", broken(true)},
	{"no end mark", func(s sdk) []played {
		if s.name == "google" { // whose last output is the mark
			return []played{{events: s.events[:len(s.events)-1]}}
		}
		return []played{{events: s.events[:3]}}
	}, requests(1), "", broken(true)},
	{"reset after output", func(s sdk) []played { return []played{{s.events[:2], true}} },
		requests(1), "Hello", broken(true)},
	{"overload after output", func(s sdk) []played {
		return []played{{events: append(append([]string(nil), s.events[:2]...), s.crowd)}}
	}, requests(1), "Hello", func(t *testing.T, s sdk, err error) {
		if s.name != "openai responses" { // to whose SDK it is an event like any other
			overloaded(t, s, err)
		}
	}},
}

func requests(n int) func(sdk, bool) int { return func(sdk, bool) int { return n } }

func succeeds(t *testing.T, _ sdk, err error) {
	if err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func overloaded(t *testing.T, _ sdk, err error) {
	if f := llm.Classify(err); f.Kind != fault.Overloaded {
		t.Errorf("got %v, %T %v, want overloaded", f.Kind, err, err)
	}
}

func broken(output bool) func(*testing.T, sdk, error) {
	return func(t *testing.T, _ sdk, err error) {
		var e *llm.StreamError
		if !errors.As(err, &e) || e.Output != output {
			t.Errorf("got %T %v, want a StreamError with Output %t", err, err, output)
		}
	}
}

func TestStreams(t *testing.T) {
	for _, row := range streamRows {
		each(t, func(t *testing.T, s sdk, own bool) {
			synctest.Test(t, func(t *testing.T) {
				plays, n := row.plays(s), 0
				w := serve(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					n++
					plays[min(n, len(plays))-1].serve(w)
				})
				text, err := s.stream(t.Context(), three(w), own)
				if want := row.want(s, own); w.count() != want || row.text != "" && text != row.text {
					t.Errorf("%s: got %q after %d requests, want %q after %d",
						row.name, text, w.count(), row.text, want)
				}
				row.check(t, s, err)
				if t.Failed() {
					t.Logf("in row %q", row.name)
				}
			})
		})
	}
}
