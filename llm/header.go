package llm

import "net/http"

// first is h.Get for a name in canonical form. Get would look at each of its characters.
func first(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}
