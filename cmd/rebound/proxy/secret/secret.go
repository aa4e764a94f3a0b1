// Package secret finds the credentials of requests, and keeps them out of texts.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
)

// Headers are those in which the clients of APIs send credentials.
var Headers = []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key"}

// Secrets are the credentials of a request, each in its place. Empty = not sent.
type Secrets []string

// Of returns the credentials of a request.
func Of(req *http.Request) (s Secrets) {
	for _, name := range Headers {
		s = append(s, Bearer(req.Header.Get(name)))
	}
	return append(s, req.URL.Query().Get("key"))
}

// Hash is the same for the same credentials alone.
func (s Secrets) Hash() [sha256.Size]byte { return sha256.Sum256([]byte(strings.Join(s, "\n"))) }

// Hide is a text without the credentials. Short ones are no secrets, and stay.
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
