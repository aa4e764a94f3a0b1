package rebounddebug_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rebound-go/rebound/rebounddebug"
)

// A name of another site that points to this machine gets no answer to any request.
func TestHosts(t *testing.T) {
	h := rebounddebug.Handler(rebounddebug.Options{
		Hosts: []string{"debug.example.com", "Intern."}, ControlToken: "sesame",
	})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "LOCALHOST.": 200, "a.localhost:80": 200,
		"127.0.0.1:8080": 200, "10.0.0.7": 200, "[::1]:8080": 200, "[::1]": 200,
		"[fe80::1%25eth0]:80": 200,
		"debug.example.com":   200, "DEBUG.example.com:8443": 200, "intern": 200,
		"":             200, // HTTP/1.0, which no browser sends
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421,
		"127.0.0.1.evil.example": 421, "xlocalhost": 421, "example.com": 421,
		"a.debug.example.com": 421, "2130706433.evil": 421, "localhost@evil.example": 421,
	} {
		for _, path := range []string{"", "?format=json", "events", "page.js"} {
			r := httptest.NewRequest(http.MethodHead, address+path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("Host %q, %q: status %d, want %d", host, path, w.Code, want)
			}
		}
		r := httptest.NewRequest(http.MethodPost, address, nil)
		r.Host = host
		r.Header.Set("Authorization", "bearer sesame")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (w.Code == 421) != (want == 421) {
			t.Errorf("Host %q: status %d for an order, want 421: %t", host, w.Code, want == 421)
		}
	}
}
