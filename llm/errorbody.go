package llm

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/rebound-go/rebound/fault"
)

// report is what a provider says of a failure, in whichever of their shapes: {"error": {"type",
// "code", "message"}} of OpenAI and most others, {"type": "error", "error": {"type", "message",
// "details"}} of Anthropic, {"error": {"code", "status", "message", "details"}} of Google,
// {"__type"} or a header of AWS, {"error": "…"}, {"detail": "…"}, and one of these in another.
type report struct {
	status  int      // the status that the body tells; 0 = none
	words   []string // codes and types
	text    string   // for people
	details []any    // of a google.rpc.Status
}

const (
	maxDepth = 6  // of the objects that are looked into
	maxWords = 16 // more than any provider has
)

// parse reads a body, or the data of an event. What is no JSON gives an empty report.
func parse(body []byte) (r report) {
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte("event:")) || bytes.HasPrefix(body, []byte("data:")) {
		body = firstData(body)
	}
	if len(body) == 0 || body[0] != '{' && body[0] != '[' {
		return r
	}
	var v any
	if json.Unmarshal(body, &v) == nil {
		r.read(v, 0)
	}
	return r
}

// firstData is the data of the first event in a body that has events.
func firstData(body []byte) (data []byte) {
	var p parser
	p.feed(append(body[:len(body):len(body)], "\n\n"...), func(e Event) {
		if data == nil {
			data = e.Data
		}
	})
	return data
}

// ofResponse is parse of a response's body, and the word in the header of AWS.
func ofResponse(resp *http.Response, body []byte) report {
	r := parse(body)
	if resp != nil {
		r.word(resp.Header.Get("X-Amzn-Errortype"))
	}
	return r
}

// said are the fields of an error that hold what is said of it, the most particular first.
var said = [...]string{"error_code", "code", "type", "__type", "status", "status_code", "reason"}

func (r *report) read(v any, depth int) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v[:min(len(v), maxWords)] {
			r.read(e, depth+1)
		}
	case map[string]any:
		for _, name := range said {
			r.say(v[name])
		}
		r.describe(v)
		for _, name := range [...]string{"error", "innererror", "response", "detail"} {
			r.read(v[name], depth+1)
		}
		r.detail(v["details"], depth)
		if passed, ok := v["metadata"].(map[string]any); ok { // of OpenRouter: the model's own words
			r.raw(passed["raw"], depth)
		}
	}
}

// say notes a code, which may be a number.
func (r *report) say(v any) {
	switch v := v.(type) {
	case float64:
		r.number(int(min(max(v, 0), 1000)))
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			r.number(n)
			return
		}
		r.word(v)
	}
}

func (r *report) number(n int) {
	if r.status == 0 && n >= 400 && n < 600 {
		r.status = n
	}
}

// word notes a code. Those of AWS may come as name:url or namespace#name.
func (r *report) word(w string) {
	w, _, _ = strings.Cut(w, ":")
	if _, name, ok := strings.Cut(w, "#"); ok {
		w = name
	}
	if w = strings.TrimSpace(w); w != "" && len(r.words) < maxWords {
		r.words = append(r.words, w)
	}
}

// describe notes what is for people to read. An error that is no more than a text may be a code.
func (r *report) describe(object map[string]any) {
	for _, name := range [...]string{"message", "error", "detail"} {
		text, ok := object[name].(string)
		if !ok {
			continue
		}
		r.text += text + "\n"
		if !strings.Contains(text, " ") {
			r.word(text)
		}
	}
}

// detail reads the details of Google's errors, a list, or of Anthropic's, an object.
func (r *report) detail(v any, depth int) {
	if list, ok := v.([]any); ok {
		r.details = append(r.details, list...)
		return
	}
	r.read(v, depth+1)
}

func (r *report) raw(v any, depth int) {
	text, ok := v.(string)
	if !ok {
		return
	}
	var inner any
	if json.Unmarshal([]byte(text), &inner) == nil {
		r.read(inner, depth+1)
	}
}

// wording is an error that has what a report has, for fault.Of to read.
type wording struct {
	StatusCode    int
	Code, Message string
	Details       []any
}

func (*wording) Error() string { return "" }

// spoken is what the body means, given what the status does: Unknown if it adds nothing.
func (r report) spoken(f fault.Fault) fault.Fault {
	best := fault.Fault{Kind: fault.Unknown}
	for _, word := range r.words {
		g, ok := words[word]
		if !ok {
			g = fault.Of(&wording{Code: word})
		} else {
			g.Detail = "code " + word
		}
		if g.Kind == fault.Permanent || best.Kind == fault.Unknown {
			best = g
		}
		if g.Kind == fault.Permanent {
			return best
		}
	}
	if best.Kind == fault.RateLimited || best.Kind == fault.Unknown && f.Kind == fault.RateLimited {
		return r.limited(best, f)
	}
	return best
}

// limited is what the body of a response about a limit says beside its code.
func (r report) limited(best, f fault.Fault) fault.Fault {
	w := &wording{StatusCode: http.StatusTooManyRequests, Message: r.text, Details: r.details}
	g := fault.Of(w)
	if g.Kind == fault.RateLimited {
		g.Detail, g.Sent = best.Detail, best.Sent
		if best.Kind == fault.Unknown {
			g.Detail, g.Sent = f.Detail, f.Sent
		}
	}
	if asked, limit, ok := amounts(r.text); ok && asked > limit {
		g.Kind, g.Detail = fault.Permanent, "request above the limit"
	}
	return g
}

// guess is a status for what the body says, where there is none: 500 if nobody knows.
func (r report) guess() int {
	if r.status != 0 {
		return r.status
	}
	for _, word := range r.words {
		if status := statuses[word]; status != 0 {
			return status
		}
	}
	switch r.spoken(fault.Fault{}).Kind {
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.Overloaded:
		return http.StatusServiceUnavailable
	case fault.Permanent:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}
