// Package rows reads and checks the input of a batch, which has a line for each request.
package rows

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/internal/jsonscan"
	"github.com/rebound-go/rebound/internal/strictjson"
)

// Row is a line of the input. The first four fields are OpenAI's, and the others are ours.
type Row struct {
	ID       string            `json:"custom_id"`
	Method   string            `json:"method"` // empty = POST
	URL      string            `json:"url"`
	Body     json.RawMessage   `json:"body"`
	Headers  map[string]string `json:"headers"`
	Tokens   int               `json:"tokens"`    // that the row will use; 0 = estimated from the body
	BodyFile string            `json:"body_file"` // file whose content is the body

	Target *url.URL  `json:"-"` // absolute URL; rows share it
	Key    store.Row `json:"-"`
	At     int64     `json:"-"` // offset of the line in the input
	Line   []byte    `json:"-"` // the line itself; only Scan sets it, and it is valid until fn returns
}

var rowFields = []string{"custom_id", "method", "url", "body", "headers", "tokens", "body_file"}

// Targets decides where rows may go.
type Targets struct {
	Base    *url.URL // for URLs without a host; nil = each URL needs a host
	Allowed []string // other origins than that of Base
}

// NewTargets returns the Targets of rows that may go to the host of base and to those of others.
func NewTargets(base *url.URL, others []*url.URL) Targets {
	t := Targets{Base: base}
	for _, u := range others {
		t.Allowed = append(t.Allowed, Origin(u))
	}
	return t
}

// Origin returns the scheme, the name and the port of a URL, by which hosts are compared.
func Origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// parse reads and checks a line, except for the files that it names. The row's body shares memory
// with the line.
func (in *Input) parse(line []byte) (r Row, err error) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		return r, errors.New("invalid_json_line: want a JSON object")
	}
	if !utf8.Valid(line) {
		return r, errors.New("invalid_json_line: want UTF-8 text")
	}
	if err := r.fill(line); err != nil {
		return r, err
	}
	r.Method = strings.ToUpper(cmp.Or(r.Method, http.MethodPost))
	switch {
	case r.ID == "":
		return r, errors.New("missing_custom_id: custom_id is missing: want a unique string for " +
			"each row")
	case !httpguts.ValidHeaderFieldName(r.Method), r.Method == http.MethodConnect:
		return r, fmt.Errorf("invalid_method: method is %q: want one such as POST", r.Method)
	case r.Tokens < 0:
		return r, fmt.Errorf("invalid_tokens: tokens is %d: want 0 or more", r.Tokens)
	case r.BodyFile != "" && r.Body != nil:
		return r, errors.New("invalid_body: the row has body and body_file: want one of them")
	}
	if err := r.checkHeaders(); err != nil {
		return r, err
	}
	r.Key.Digest = store.Digest(line)
	r.Target, err = in.resolve(r.URL)
	return r, err
}

// fill reads the fields of a line.
func (r *Row) fill(line []byte) (err error) {
	seen := 0 // a bit for each of our fields
	whole := jsonscan.Fields(line, func(name, value []byte) {
		if err == nil {
			err = r.set(name, value, &seen)
		}
	})
	if !whole {
		return fmt.Errorf("invalid_json_line: %w", json.Unmarshal(line, new(json.RawMessage)))
	}
	return err
}

// set reads a field. A repeated field is an error, and so is a name that looks like a misspelling.
// Other unknown fields are the user's own, and are ignored. A null is ignored, too.
func (r *Row) set(name, value []byte, seen *int) (err error) {
	i := 0
	for i < len(rowFields) && string(name) != rowFields[i] {
		i++
	}
	if i == len(rowFields) {
		hint := strictjson.Hint(string(name), rowFields)
		if strings.HasPrefix(hint, "did you") {
			return fmt.Errorf("invalid_field: unknown field %q: %s", name, hint)
		}
		return nil
	}
	if *seen&(1<<i) != 0 {
		return fmt.Errorf("invalid_field: %s occurs twice: want it once", name)
	}
	*seen |= 1 << i
	switch rowFields[i] {
	case "custom_id":
		r.ID, err = text(name, value)
	case "method":
		if r.Method = http.MethodPost; string(value) != `"POST"` { // nearly all rows have it
			r.Method, err = text(name, value)
		}
	case "url":
		r.URL, err = text(name, value)
	case "body":
		if string(value) != "null" {
			r.Body = value
		}
	case "headers":
		r.Headers, err = decode[map[string]string](name, value)
	case "tokens":
		r.Tokens, err = decode[int](name, value)
	case "body_file":
		r.BodyFile, err = text(name, value)
	}
	return err
}

func text(name, value []byte) (string, error) {
	if text, ok := jsonscan.Text(value); ok {
		return text, nil
	}
	return decode[string](name, value)
}

func decode[T any](name, value []byte) (v T, err error) {
	err = json.Unmarshal(value, &v)
	if kind := (*json.UnmarshalTypeError)(nil); errors.As(err, &kind) {
		want := map[reflect.Kind]string{reflect.String: "a string", reflect.Int: "a whole number",
			reflect.Map: "an object of strings"}[kind.Type.Kind()]
		return v, fmt.Errorf("invalid_field: %s: want %s, not %s", name, want, kind.Value)
	}
	return v, err
}

// MaySet reports whether a user may set a header. The others decide where a request goes, or belong
// to the transport.
func MaySet(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Te", "Trailer":
		return false
	}
	return true
}

// checkHeaders rejects invalid headers, and those that MaySet rejects.
func (r Row) checkHeaders() error {
	if len(r.Headers) == 0 {
		return nil
	}
	seen := map[string]bool{}
	for name, value := range r.Headers {
		key := http.CanonicalHeaderKey(name)
		if seen[key] {
			return fmt.Errorf("invalid_header: header %q occurs twice: want it once", key)
		}
		seen[key] = true
		if !MaySet(name) {
			return fmt.Errorf("invalid_header: a row must not set the header %q", name)
		}
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("invalid_header: the name or the value of header %q is invalid", name)
		}
	}
	return nil
}

// target is a URL of a row, and what it was resolved to.
type target struct {
	ref string
	url *url.URL
}

// resolve returns the absolute URL of a row. The caller must not change the URL, because most rows
// share it.
func (in *Input) resolve(ref string) (*url.URL, error) {
	if t := in.last.Load(); t != nil && t.ref == ref {
		return t.url, nil
	}
	u, err := in.Where.resolve(ref)
	if err == nil {
		in.last.Store(&target{ref, u})
	}
	return u, err
}

// resolve returns the absolute URL of a row. Only the hosts of Base and Allowed are accepted,
// because a data file must not choose where credentials go.
func (t Targets) resolve(ref string) (*url.URL, error) {
	u, err := url.Parse(ref)
	switch {
	case ref == "":
		return nil, errors.New("missing_url: url is missing: want one such as /v1/chat/completions")
	case err != nil:
		return nil, fmt.Errorf("invalid_url: %w", errors.Unwrap(err))
	case u.User != nil:
		return nil, errors.New("invalid_url: url has a user: put credentials in --header")
	case u.IsAbs() || u.Host != "" || strings.HasPrefix(ref, "//"):
		if u.Host == "" || !slices.Contains(t.origins(), Origin(u)) {
			return nil, fmt.Errorf("foreign_host: %s is not allowed: want a host of --base or --allow",
				withoutQuery(u))
		}
		return u, nil
	case t.Base == nil:
		return nil, fmt.Errorf("missing_base: url %s has no host: want --base URL", withoutQuery(u))
	}
	full := *t.Base
	full.Path = strings.TrimSuffix(t.Base.Path, "/") + "/" + strings.TrimPrefix(u.Path, "/")
	full.RawPath = strings.TrimSuffix(t.Base.EscapedPath(), "/") + "/" +
		strings.TrimPrefix(u.EscapedPath(), "/")
	full.RawQuery, full.Fragment = u.RawQuery, ""
	return &full, nil
}

// withoutQuery returns a URL for a message, without the query, which often has a key.
func withoutQuery(u *url.URL) string {
	bare := *u
	bare.RawQuery, bare.Fragment = "", ""
	return bare.Redacted()
}

func (t Targets) origins() []string {
	if t.Base == nil {
		return t.Allowed
	}
	return append([]string{Origin(t.Base)}, t.Allowed...)
}
