package results

import (
	"cmp"
	"encoding/json"
	"net/http"
)

// RequestID returns the server's ID of a request, or "" if the response has none.
func RequestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id", "X-Amzn-Requestid"} {
		// Get would look at each character of the name.
		if values := h[name]; len(values) > 0 && values[0] != "" {
			return values[0]
		}
	}
	return ""
}

// ErrorOf returns the code and the message of an error response, or "" for what it does not have.
func ErrorOf(body []byte) (code, message string) {
	var e struct {
		Error json.RawMessage `json:"error"`
	}
	_ = json.Unmarshal(body, &e)
	var inner struct {
		Code    any    `json:"code"`
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	if json.Unmarshal(e.Error, &inner) != nil {
		_ = json.Unmarshal(e.Error, &inner.Message)
	}
	code, _ = inner.Code.(string)
	return cmp.Or(code, inner.Type), inner.Message
}
