// Package secret finds the credentials in requests, and redacts them in texts.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Secrets are the credentials of a request. Of sorts them, because headers have no order.
type Secrets []string

// Is reports whether a header or a query parameter is a credential, by its name.
func Is(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	switch {
	case strings.HasSuffix(name, "idempotency-key"):
		return false
	case strings.Contains(name, "authorization"), name == "key", name == "sig":
		return true
	}
	for _, end := range []string{"api-key", "apikey", "access-key", "subscription-key", "token",
		"-auth", "secret", "password"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// Of returns the credentials of a request, without the scheme Bearer.
func Of(req *http.Request) (s Secrets) {
	for name, values := range req.Header {
		if !Is(name) {
			continue
		}
		for _, v := range values {
			s = append(s, Bearer(v))
		}
	}
	for name, value := range parameters(req.URL.RawQuery) {
		if Is(name) {
			s = append(s, value)
		}
	}
	slices.Sort(s)
	return s
}

// divides reports whether a character ends a query parameter. For some servers, a semicolon does.
func divides(r rune) bool { return r == '&' || r == ';' }

// parameters yields the parameters of a query, decoded.
func parameters(query string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for pair := range strings.FieldsFuncSeq(query, divides) {
			name, value, _ := strings.Cut(pair, "=")
			if !yield(unescaped(name), unescaped(value)) {
				return
			}
		}
	}
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// Replace replaces each credential of a request by key.
func Replace(req *http.Request, key string) {
	for name := range req.Header {
		switch {
		case name == "Authorization":
			req.Header.Set(name, "Bearer "+key)
		case Is(name):
			req.Header.Set(name, key)
		}
	}
	pairs := strings.FieldsFunc(req.URL.RawQuery, divides)
	for i, pair := range pairs {
		if name, _, _ := strings.Cut(pair, "="); Is(unescaped(name)) {
			pairs[i] = name + "=" + url.QueryEscape(key)
		}
	}
	req.URL.RawQuery = strings.Join(pairs, "&")
}

// Hash returns a hash that identifies the credentials.
func (s Secrets) Hash() [sha256.Size]byte {
	h := sha256.New()
	for _, one := range s {
		_, _ = fmt.Fprintf(h, "%d:%s", len(one), one)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Hide returns the text with the credentials replaced by ***. Those of under 6 bytes are not
// replaced, because they occur in words.
func (s Secrets) Hide(text string) string {
	for _, one := range s {
		if len(one) >= shortest {
			text = strings.ReplaceAll(text, one, "***")
			text = strings.ReplaceAll(text, url.QueryEscape(one), "***")
		}
	}
	return text
}

const shortest = 6

// Error returns err with the credentials hidden in its text.
func (s Secrets) Error(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); s.Hide(text) != text {
		return hidden{err, s.Hide(text)}
	}
	return err
}

type hidden struct {
	error
	text string
}

func (h hidden) Error() string { return h.text }

// Same reports whether a equals b, in a time that does not depend on their contents.
func Same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// Bearer returns the value of a header without the scheme Bearer.
func Bearer(value string) string {
	scheme, token, ok := strings.Cut(value, " ")
	if ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(token)
	}
	return value
}
