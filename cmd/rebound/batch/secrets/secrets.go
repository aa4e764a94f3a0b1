// Package secrets redacts credentials in everything that is written.
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

// Set has the credentials that must not be written.
type Set struct{ forms []string } // the longest first, in case one contains another

// Redacted replaces a credential.
const Redacted = "[redacted]"

// shortest is the length of the shortest value that is redacted. Shorter ones occur in words.
const shortest = 4

// With returns a Set that also has these values, as they are and as JSON, URLs and forms escape
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

// literals matches the strings in a JSON text.
var literals = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// Redact replaces the values in a text. It finds them in JSON strings, however they are escaped,
// and in JSON within JSON strings.
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

// IsName reports whether a header or a query parameter holds a credential, by its name.
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

// InHeader returns the secrets in a header's value: the whole value, and the part after the scheme.
// For basic authentication, it adds the decoded user and password, and the password.
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

// InRequest returns the credentials in the headers and the query of a request.
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
