// Package secret finds the credentials of requests, and keeps them out of texts.
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

// Secrets are the credentials of a request, sorted, as headers have no order.
type Secrets []string

// Is reports whether a header, or a parameter of a query, is a credential by its name.
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

// Of returns the credentials of a request, without schemes.
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

// divides reports whether a character ends a parameter of a query. Semicolons do for some servers.
func divides(r rune) bool { return r == '&' || r == ';' }

// parameters yields those of a query.
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

// Replace puts a key in the place of all credentials of a request.
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

// Hash is the same for the same credentials alone.
func (s Secrets) Hash() [sha256.Size]byte {
	h := sha256.New()
	for _, one := range s {
		_, _ = fmt.Fprintf(h, "%d:%s", len(one), one)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Hide is a text without the credentials. Short ones are not secrets, and stay.
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

// Error is an error whose text has no credentials.
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

// Same compares in a time that depends on neither.
func Same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// Bearer is the value of a header without the scheme.
func Bearer(value string) string {
	scheme, token, ok := strings.Cut(value, " ")
	if ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(token)
	}
	return value
}
