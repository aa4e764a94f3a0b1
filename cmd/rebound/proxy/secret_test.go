package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rebound-go/rebound"
)

// placed are the places in which clients send credentials.
var placed = map[string]struct {
	query, header, value string
}{
	"Authorization":     {header: "Authorization", value: "Bearer %s"},
	"lower case scheme": {header: "Authorization", value: "bearer %s"},
	"Anthropic":         {header: "X-Api-Key", value: "%s"},
	"Azure":             {header: "Api-Key", value: "%s"},
	"Azure's gateway":   {header: "Ocp-Apim-Subscription-Key", value: "%s"},
	"Google":            {header: "X-Goog-Api-Key", value: "%s"},
	"Google's query":    {query: "?alt=sse&key=%s"},
	"a query in pieces": {query: "?a=b;api_key=%s;c"},
	"an access token":   {query: "?access_token=%s"},
	"another token":     {header: "X-Auth-Token", value: "%s"},
	"a private token":   {header: "Private-Token", value: "%s"},
}

// send sends a request with a credential in a place.
func (r *running) send(
	t *testing.T, place, secret string, more ...string,
) (*http.Response, string) {
	t.Helper()
	p := placed[place]
	path := chat
	if p.query != "" {
		path += fmt.Sprintf(p.query, secret)
	} else {
		more = append(more, p.header, fmt.Sprintf(p.value, secret))
	}
	return r.post(t, path, "{}", more...)
}

// Wherever a credential is sent, its failures are its own, and no log, metric or page contains it.
func TestCredentialsOfAllPlaces(t *testing.T) {
	for place := range placed {
		t.Run(place, func(t *testing.T) {
			var seen strings.Builder
			var mu sync.Mutex
			r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if all := r.URL.RawQuery + fmt.Sprint(r.Header); strings.Contains(all, "bad-secret") {
					w.WriteHeader(500)
					_, _ = fmt.Fprintf(w, `{"error": {"message": %q, "code": "bad-secret"}}`, all)
					return
				}
				_, _ = io.WriteString(w, "{}")
			}), func(o *Options) {
				o.Breaker = true
				o.Observe = func(_ context.Context, e rebound.Event) {
					mu.Lock()
					defer mu.Unlock()
					fmt.Fprintf(&seen, "%+v\n", e)
				}
			})
			for range 4 {
				r.send(t, place, "bad-secret")
			}
			if resp, _ := r.send(t, place, "bad-secret"); resp.StatusCode != 503 {
				t.Errorf("got status %d, want the breaker's 503", resp.StatusCode)
			}
			if resp, _ := r.send(t, place, "good-secret"); resp.StatusCode != 200 {
				t.Errorf("another credential: got status %d", resp.StatusCode)
			}
			_ = r.stop()
			if text := seen.String() + r.log.String(); strings.Contains(text, "-secret") {
				t.Errorf("observed\n%s", text)
			}
		})
	}
}

// Wherever a client sends the proxy's token, the API gets the key in its place.
func TestTokenStays(t *testing.T) {
	var got atomic.Value
	r := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.URL.RawQuery + fmt.Sprint(r.Header))
		_, _ = io.WriteString(w, "{}")
	}), func(o *Options) { o.Token, o.Key, o.Hosts = "the-token", "the-key", nil })
	for place := range placed {
		for _, more := range [][]string{nil, {"X-Rebound-Token", "the-token"}} {
			got.Store("")
			resp, _ := r.send(t, place, "the-token", more...)
			sent := got.Load().(string)
			if resp.StatusCode != 200 || strings.Contains(sent, "the-token") ||
				!strings.Contains(sent, "the-key") {
				t.Errorf("%s: got status %d, the API got %s", place, resp.StatusCode, sent)
			}
		}
	}
}

// If the proxy has the key, all clients use one credential and share its limits.
func TestOneKeyIsOneCredential(t *testing.T) {
	var calls atomic.Int64
	r := start(t, script(&calls, 200), func(o *Options) {
		o.Token, o.Key, o.Hosts = "the-token", "the-key", nil
	})
	for _, dummy := range []string{"a", "b", "c"} {
		r.post(t, chat, "{}", "X-Rebound-Token", "the-token", "Authorization", "Bearer "+dummy)
	}
	n := 0
	for range r.Clients() {
		n++
	}
	if n != 1 || calls.Load() != 3 {
		t.Errorf("%d credentials after %d calls, want 1", n, calls.Load())
	}
}

// Keys that identify a request, not a client, are not credentials.
func TestKeysOfRequests(t *testing.T) {
	var calls atomic.Int64
	r := start(t, script(&calls, 200), nil)
	for i := range 3 {
		for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key", "X-Cache-Key"} {
			r.post(t, chat, "{}", name, fmt.Sprint(i))
		}
	}
	n := 0
	for range r.Clients() {
		n++
	}
	if n != 1 {
		t.Errorf("%d credentials, want 1", n)
	}
}
