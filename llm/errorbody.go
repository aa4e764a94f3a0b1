package llm

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// report is a provider's description of a failure, in any of these shapes: {"error": {"type",
// "code", "message"}} of OpenAI and most others, {"type": "error", "error": {"type", "message",
// "details"}} of Anthropic, {"error": {"code", "status", "message", "details"}} of Google,
// {"__type"} or a header of AWS, {"error": "…"}, {"detail": "…"}, and one of these in another.
type report struct {
	status  int      // that the body states; 0 = none
	codes   []string // codes and types
	text    string   // for people
	details []any    // of a google.rpc.Status
}

const (
	maxDepth = 6  // of the objects that are looked into
	maxCodes = 16 // more than any provider has
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
	// Any JSON, not one struct a provider: proxies and gateways wrap errors, and new fields appear
	// often.
	if json.Unmarshal(body, &v) == nil {
		r.read(v, 0)
	}
	return r
}

// firstData is the data of the first event in a body that has events.
func firstData(body []byte) (data []byte) {
	var p parser
	// The empty line completes an event that the body ends in.
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
		r.addWord(resp.Header.Get("X-Amzn-Errortype"))
	}
	return r
}

// codeFields are the fields of an error that hold codes, the most particular first.
var codeFields = [...]string{
	"error_code", "code", "type", "__type", "status", "status_code", "reason",
}

// read looks into v and the objects in it. Depth and number are bounded, as any server may have
// sent the body.
func (r *report) read(v any, depth int) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v[:min(len(v), maxCodes)] {
			r.read(e, depth+1)
		}
	case map[string]any:
		for _, name := range codeFields {
			r.addCode(v[name])
		}
		r.addText(v)
		for _, name := range [...]string{"error", "innererror", "response", "detail"} {
			r.read(v[name], depth+1)
		}
		r.addDetails(v["details"], depth)
		if passed, ok := v["metadata"].(map[string]any); ok { // of OpenRouter: the model's own error
			r.readText(passed["raw"], depth)
		}
	}
}

// addCode adds a code, which may be a number.
func (r *report) addCode(v any) {
	switch v := v.(type) {
	case float64:
		r.addStatus(int(min(max(v, 0), 1000)))
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			r.addStatus(n)
			return
		}
		r.addWord(v)
	}
}

// addStatus keeps the first status, which is that of the outermost error. Other numbers are codes
// of a provider's own.
func (r *report) addStatus(n int) {
	if r.status == 0 && n >= 400 && n < 600 {
		r.status = n
	}
}

// addWord adds a code that is a word. Those of AWS may come as name:url or namespace#name.
func (r *report) addWord(w string) {
	w, _, _ = strings.Cut(w, ":")
	if _, name, ok := strings.Cut(w, "#"); ok {
		w = name
	}
	if w = strings.TrimSpace(w); w != "" && len(r.codes) < maxCodes {
		r.codes = append(r.codes, w)
	}
}

// addText adds the texts for people. An error that is no more than a text may be a code.
func (r *report) addText(object map[string]any) {
	for _, name := range [...]string{"message", "error", "detail"} {
		text, ok := object[name].(string)
		if !ok {
			continue
		}
		r.text += text + "\n"
		// Words for people have spaces between them.
		if !strings.Contains(text, " ") {
			r.addWord(text)
		}
	}
}

// addDetails reads the details of Google's errors, a list, or of Anthropic's, an object.
func (r *report) addDetails(v any, depth int) {
	if list, ok := v.([]any); ok {
		r.details = append(r.details, list...)
		return
	}
	r.read(v, depth+1)
}

// readText reads an error that was put into another one as a text.
func (r *report) readText(v any, depth int) {
	text, ok := v.(string)
	if !ok {
		return
	}
	var inner any
	if json.Unmarshal([]byte(text), &inner) == nil {
		r.read(inner, depth+1)
	}
}

// overrule returns f, which is what a response's status and headers mean, corrected by its body.
func (r report) overrule(f fault.Fault, h http.Header) fault.Fault {
	if f.Kind == fault.None || f.Kind == fault.Unknown { // the 200 of a stream, or nothing
		f = withKindOf(f, fault.Status(r.guessStatus()))
	}
	g := r.fault(f)
	// A header that forbids a retry outranks a code that would allow one, but not a code that is
	// permanent, too, and more exact.
	refused := f.Kind == fault.Permanent && !f.Final && forbidden(h)
	if g.Kind == fault.Unknown || refused && g.Kind != fault.Permanent {
		g = f
	}
	if f.After == 0 && !statesDelay(h) {
		f.After = g.After
		if f.After == 0 && g.Kind == fault.RateLimited {
			f.After = delayIn(r.text)
		}
	}
	return withKindOf(f, g)
}

// forbidden reports whether a header of a response forbids to repeat the request. Nothing else
// makes a 500 Permanent.
func forbidden(h http.Header) bool {
	return fault.Response(http.StatusInternalServerError, h, time.Now()).Kind == fault.Permanent
}

// statesDelay reports whether a header asks for a delay, be it a valid one or not.
func statesDelay(h http.Header) bool {
	for name := range h {
		if strings.Contains(name, "Retry-After") {
			return true
		}
	}
	return false
}

// withKindOf is f with the kind of g, and why.
func withKindOf(f, g fault.Fault) fault.Fault {
	f.Kind, f.Detail = g.Kind, g.Detail
	if f.Sent != fault.NotSent {
		f.Sent = g.Sent
	}
	return f
}

// fault is what the body means, given what the status does: Unknown if it adds nothing. A permanent
// code decides even beside others: what will not pass makes the rest irrelevant.
func (r report) fault(f fault.Fault) fault.Fault {
	best := fault.Fault{Kind: fault.Unknown}
	for _, code := range r.codes {
		g, _ := fault.Code(code)
		if g.Kind == fault.Permanent {
			return g
		}
		if best.Kind == fault.Unknown {
			best = g
		}
	}
	if best.Kind == fault.RateLimited || best.Kind == fault.Unknown && f.Kind == fault.RateLimited {
		return r.limited(best, f)
	}
	return best
}

// googleError is an error that has what a report has, for fault.Of to read.
type googleError struct {
	StatusCode int
	Message    string
	Details    []any
}

func (*googleError) Error() string { return "" }

// limited is what the body of a response about a limit means beside its code.
func (r report) limited(best, f fault.Fault) fault.Fault {
	g := fault.Of(&googleError{http.StatusTooManyRequests, r.text, r.details})
	if g.Kind == fault.RateLimited {
		g.Detail, g.Sent = best.Detail, best.Sent
		if best.Kind == fault.Unknown {
			g.Detail, g.Sent = f.Detail, f.Sent
		}
	}
	// A request for more than the whole limit fails however long it waits.
	if asked, limit, ok := amounts(r.text); ok && asked > limit {
		g.Kind, g.Detail = fault.Permanent, "request above the limit"
	}
	return g
}

// guessStatus is the status that the body states, or that goes with its codes; 500 if none does.
func (r report) guessStatus() int {
	if r.status != 0 {
		return r.status
	}
	for _, code := range r.codes {
		if _, status := fault.Code(code); status != 0 {
			return status
		}
	}
	return http.StatusInternalServerError
}
