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

// report is a provider's description of a failure. It comes in one of these shapes, which may also
// be nested:
//
//	{"error": {"type", "code", "message"}}                 OpenAI and most others
//	{"type": "error", "error": {"type", "message", "details"}}        Anthropic
//	{"error": {"code", "status", "message", "details"}}    Google
//	{"__type"}, or a header                                AWS
//	{"error": "…"}, {"detail": "…"}                        others
type report struct {
	status  int         // that the body states; 0 = none
	codes   []string    // codes and types
	text    string      // for people
	details []any       // of a google.rpc.Status
	header  http.Header // of the provider behind a router
}

const (
	// These bounds protect against a hostile or broken body.
	maxDepth = 6  // of nested objects that are read
	maxCodes = 16 // more than any provider has

	maxDecoded = 64 << 20 // bytes of a body without its encoding
)

// parse reads a body, or the data of an event. It returns an empty report for anything but JSON.
func parse(body []byte) (r report) {
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte("event:")) || bytes.HasPrefix(body, []byte("data:")) {
		body = firstData(body)
	}
	// The pages of proxies are common. They are not worth an attempt to decode them.
	if len(body) == 0 || body[0] != '{' && body[0] != '[' {
		return r
	}
	// Any JSON is read, not one struct for each provider, because proxies and gateways wrap errors and
	// new fields appear often.
	var v any
	if json.Unmarshal(body, &v) == nil {
		r.read(v, 0)
	}
	return r
}

// firstData is the data of the first event in a body that consists of events.
func firstData(body []byte) (data []byte) {
	var p parser
	// An empty line completes an event at which the body ends.
	p.feed(append(body[:len(body):len(body)], "\n\n"...), func(e Event) {
		if data == nil {
			data = e.Data
		}
	})
	return data
}

// ofResponse parses a response's body and adds the code that AWS sends in a header.
func ofResponse(resp *http.Response, body []byte) report {
	var header http.Header
	if resp != nil {
		header = resp.Header
	}
	r := parse(decoded(header, body))
	if resp != nil {
		r.addWord(first(resp.Header, "X-Amzn-Errortype"))
	}
	return r
}

// codeFields are the fields of an error that hold codes, the most specific first.
var codeFields = [...]string{
	"error_code", "code", "type", "__type", "status", "status_code", "reason",
}

// read examines v and the objects in it. Depth and number are bounded, because any server may have
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

// addNumber adds a number. A number of three digits is a status; the outermost error comes first,
// so the first status stays. A larger number is a code of the provider's own.
func (r *report) addNumber(n int) {
	switch {
	case n >= 1000:
		r.addWord(strconv.Itoa(n))
	case r.status == 0 && n >= 400 && n < 600:
		r.status = n
	}
}

// addWord adds a code that is a word. AWS sends codes as name:url or namespace#name.
func (r *report) addWord(w string) {
	w, _, _ = strings.Cut(w, ":")
	if _, name, ok := strings.Cut(w, "#"); ok {
		w = name
	}
	if w = strings.TrimSpace(w); w != "" && len(r.codes) < maxCodes {
		r.codes = append(r.codes, w)
	}
}

// addText adds the texts that are written for people. An error that consists of one text may be a
// code.
func (r *report) addText(object map[string]any) {
	for _, name := range [...]string{"message", "error", "detail", "error_msg", "status_msg"} {
		text, ok := object[name].(string)
		if !ok {
			continue
		}
		r.text += text + "\n"
		// Texts for people have spaces.
		if !strings.Contains(text, " ") {
			r.addWord(text)
		}
	}
}

// addDetails reads details: a list in Google's errors, an object in Anthropic's.
func (r *report) addDetails(v any, depth int) {
	list, ok := v.([]any)
	if !ok {
		r.read(v, depth+1)
		return
	}
	r.details = append(r.details, list...)
	// The reason is more exact than the status: a wrong key is an INVALID_ARGUMENT.
	for _, d := range list[:min(len(list), maxCodes)] {
		if info, ok := d.(map[string]any); ok {
			r.addCode(info["reason"])
		}
	}
}

// passOn reads the body and headers of the provider behind a router.
func (r *report) passOn(metadata map[string]any, depth int) {
	headers, _ := metadata["headers"].(map[string]any)
	for name, v := range headers {
		if r.header == nil {
			r.header = http.Header{}
		}
		// In JSON the values may be numbers; in a header they are texts.
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

// decoded removes the encoding that the header names from a body. net/http does that only if it
// asked for the encoding itself. A body that was cut off is decoded up to its end.
func decoded(h http.Header, body []byte) []byte {
	var r io.Reader
	var err error
	switch first(h, "Content-Encoding") {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return body
	}
	// A wrong header is common where a gateway has already decoded the body.
	if err != nil {
		return body
	}
	// The bound protects against a body that decodes to far more than it was.
	text, _ := io.ReadAll(io.LimitReader(r, maxDecoded))
	return text
}
