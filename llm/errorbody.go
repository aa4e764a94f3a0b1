package llm

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// report is a provider's description of a failure, in any of these shapes: {"error": {"type",
// "code", "message"}} of OpenAI and most others, {"type": "error", "error": {"type", "message",
// "details"}} of Anthropic, {"error": {"code", "status", "message", "details"}} of Google,
// {"__type"} or a header of AWS, {"error": "…"}, {"detail": "…"}, and one of these in another.
type report struct {
	status  int         // that the body states; 0 = none
	codes   []string    // codes and types
	text    string      // for people
	details []any       // of a google.rpc.Status
	header  http.Header // of the provider behind a router
}

const (
	maxDepth = 6  // of the objects that are looked into
	maxCodes = 16 // more than any provider has

	maxDecoded = 64 << 20 // bytes of a body without its encoding
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
	var header http.Header
	if resp != nil {
		header = resp.Header
	}
	r := parse(decoded(header, body))
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
		for _, name := range [...]string{
			"error", "innererror", "response", "detail", "choices", "base_resp",
		} {
			r.read(v[name], depth+1)
		}
		r.addDetails(v["details"], depth)
		if passed, ok := v["metadata"].(map[string]any); ok { // of OpenRouter: the model's own error
			r.passOn(passed, depth)
		}
	}
}

// addCode adds a code, which may be a number.
func (r *report) addCode(v any) {
	switch v := v.(type) {
	case float64:
		r.addNumber(int(min(max(v, 0), 1e6)))
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			r.addNumber(n)
			return
		}
		r.addWord(v)
	}
}

// addNumber adds a number: a status, of which the first is that of the outermost error, or, of more
// digits, a code of the provider's own.
func (r *report) addNumber(n int) {
	switch {
	case n >= 1000:
		r.addWord(strconv.Itoa(n))
	case r.status == 0 && n >= 400 && n < 600:
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
	for _, name := range [...]string{"message", "error", "detail", "error_msg", "status_msg"} {
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
	list, ok := v.([]any)
	if !ok {
		r.read(v, depth+1)
		return
	}
	r.details = append(r.details, list...)
	// The reason is more than the status: a wrong key is an INVALID_ARGUMENT.
	for _, d := range list[:min(len(list), maxCodes)] {
		if info, ok := d.(map[string]any); ok {
			r.addCode(info["reason"])
		}
	}
}

// passOn reads what a router adds about the provider behind it: that provider's body and headers.
func (r *report) passOn(metadata map[string]any, depth int) {
	headers, _ := metadata["headers"].(map[string]any)
	for name, v := range headers {
		if r.header == nil {
			r.header = http.Header{}
		}
		// They may be numbers, where a header has texts.
		r.header.Set(name, fmt.Sprint(v))
	}
	text, ok := metadata["raw"].(string)
	if !ok {
		return
	}
	var inner any
	if json.Unmarshal([]byte(text), &inner) != nil {
		r.text += text + "\n"
		return
	}
	r.read(inner, depth+1)
}

// decoded is a body without the encoding that its header names. The client asked for that by
// itself, or net/http would have taken it off. Of a body that was cut it is as much as there is.
func decoded(h http.Header, body []byte) []byte {
	var r io.Reader
	var err error
	switch h.Get("Content-Encoding") {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return body
	}
	if err != nil {
		return body
	}
	text, _ := io.ReadAll(io.LimitReader(r, maxDecoded))
	return text
}
