// Package secrets takes credentials out of what is written.
package secrets

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Set is credentials that must be in nothing that is written.
type Set struct{ forms []string } // the longest first, so that none leaves a part of another

// Redacted stands where a credential was.
const Redacted = "[redacted]"

// shortest is the length of the shortest value that is taken out: shorter ones are parts of words.
const shortest = 4

// With returns a Set that has these values, too, in the ways in which JSON, URLs and forms write
// them.
func (s Set) With(values ...string) Set {
	forms := slices.Clone(s.forms)
	for _, v := range values {
		if len(v) < shortest {
			continue
		}
		quoted, _ := json.Marshal(v)
		forms = append(forms, v, string(quoted[1:len(quoted)-1]), url.QueryEscape(v),
			url.PathEscape(v))
	}
	slices.SortFunc(forms, func(a, b string) int {
		return cmp.Or(len(b)-len(a), cmp.Compare(a, b))
	})
	return Set{slices.Compact(forms)}
}

// literals are the strings of a JSON text.
var literals = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// Redact takes the values out of a text, also out of JSON that escapes them in ways of its own, and
// out of JSON in its strings.
func (s Set) Redact(text []byte) []byte {
	for _, form := range s.forms {
		text = bytes.ReplaceAll(text, []byte(form), []byte(Redacted))
	}
	if len(s.forms) == 0 || !bytes.ContainsRune(text, '\\') {
		return text
	}
	return literals.ReplaceAllFunc(text, func(literal []byte) []byte {
		var plain string
		if !bytes.ContainsRune(literal, '\\') || json.Unmarshal(literal, &plain) != nil {
			return literal
		}
		clean := s.Redact([]byte(plain))
		if string(clean) == plain {
			return literal
		}
		quoted, _ := json.Marshal(string(clean))
		return quoted
	})
}

// IsName reports whether a header or a parameter of that name has a credential.
func IsName(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{
		"auth", "key", "token", "secret", "cookie", "password", "credential", "sig", "code",
	} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// InHeader returns what must not be written of a header's value: all of it, and what is behind its
// scheme. Of basic authentication it returns the password, too.
func InHeader(value string) []string {
	scheme, token, ok := strings.Cut(value, " ")
	if !ok {
		return []string{value}
	}
	list := []string{value, strings.TrimSpace(token)}
	if strings.EqualFold(scheme, "Basic") {
		if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(token)); err == nil {
			_, password, _ := strings.Cut(string(plain), ":")
			list = append(list, string(plain), password)
		}
	}
	return list
}

// InRequest returns the credentials in a request's header and query.
func InRequest(req *http.Request) (list []string) {
	for name, values := range req.Header {
		if IsName(name) {
			for _, v := range values {
				list = append(list, InHeader(v)...)
			}
		}
	}
	for name, values := range req.URL.Query() {
		if IsName(name) {
			list = append(list, values...)
		}
	}
	return list
}
