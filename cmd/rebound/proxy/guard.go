package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/proxy/body"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/secret"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/strict"
)

// fault is an error that the proxy itself answers with.
type fault struct {
	status        int
	code, message string
}

// write answers in the format of the providers' errors, so that SDKs raise their usual exceptions.
func (f *fault) write(x *exchange) {
	x.Stopped = f.code
	h := x.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Should-Retry", "false")
	h.Set("Rebound-Stopped", f.code)
	x.WriteHeader(f.status)
	type inner struct {
		Type    string `json:"type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	// OpenAI's SDKs read only error, and Anthropic's also read type.
	_ = json.NewEncoder(x).Encode(struct {
		Type  string `json:"type"`
		Error inner  `json:"error"`
	}{"error", inner{"rebound_error", "rebound_" + f.code, "rebound proxy: " + f.message}})
}

// rejection returns why a request must not be sent to the API. It returns nil if it may.
func (p *Proxy) rejection(req *http.Request, route int) *fault {
	switch {
	case !req.ProtoAtLeast(1, 1):
		return &fault{http.StatusHTTPVersionNotSupported, "version", "want HTTP/1.1: over HTTP/1.0, " +
			"half an answer looks complete"}
	case req.Method == http.MethodConnect || req.URL.Host != "" || req.URL.Scheme != "":
		return &fault{http.StatusMethodNotAllowed, "no_forward_proxy", "this is not a forward proxy: " +
			"set it as the base URL, not as HTTP_PROXY"}
	case p.o.Hosts != nil && !slices.Contains(p.o.Hosts, strings.ToLower(req.Host)):
		return &fault{http.StatusMisdirectedRequest, "host", fmt.Sprintf("this proxy has no host name %q",
			req.Host)}
	case p.fromForeignPage(req):
		return &fault{http.StatusForbidden, "origin", "web pages may not use this proxy: allow " +
			"their origin with --allow-origin"}
	case req.Header.Get("Upgrade") != "":
		return &fault{http.StatusNotImplemented, "upgrade", "WebSockets and other upgrades are not " +
			"supported"}
	case p.o.Token != "" && !strict.IsPreflight(req) && !p.authorized(req):
		return &fault{http.StatusProxyAuthRequired, "token", "want the proxy's token in " +
			"Proxy-Authorization: Bearer TOKEN, or in X-Rebound-Token"}
	case route < 0:
		return &fault{http.StatusNotFound, "route", "no route matches this path"}
	case strict.Leaves(req.URL.Path):
		return &fault{http.StatusBadRequest, "path", "the path leaves its route"}
	}
	return nil
}

// fromForeignPage reports whether a browser sent the request for a web page that may not use the
// proxy.
func (p *Proxy) fromForeignPage(req *http.Request) bool {
	if origin := req.Header.Get("Origin"); origin != "" {
		return !slices.Contains(p.o.Origin, origin)
	}
	site := req.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// authorized reports whether a request has the token. If the proxy holds the API's key, the token
// may also be in the place of the key, because an SDK cannot send another credential.
func (p *Proxy) authorized(req *http.Request) bool {
	given := []string{req.Header.Get("X-Rebound-Token"),
		secret.Bearer(req.Header.Get("Proxy-Authorization"))}
	if p.o.Key != "" {
		given = append(given, secret.Of(req)...)
	}
	return slices.ContainsFunc(given, func(t string) bool { return secret.Same(t, p.o.Token) })
}

// bodyTimeout is how long a client may take for a request's body.
const bodyTimeout = 5 * time.Minute

// hold reads the body into memory, so that it can be sent again. It counts toward MaxMemory until
// release.
func (p *Proxy) hold(w http.ResponseWriter, req *http.Request) (release func(), f *fault) {
	client := http.NewResponseController(w)
	_ = client.SetReadDeadline(time.Now().Add(bodyTimeout))
	release, err := p.memory.Hold(req)
	switch {
	case errors.Is(err, body.ErrLong):
		return nil, &fault{http.StatusRequestEntityTooLarge, "max_body", fmt.Sprintf(
			"the body has more than %d bytes: want less, or a larger --max-body", p.o.MaxBody)}
	case errors.Is(err, body.ErrFull):
		return nil, &fault{http.StatusServiceUnavailable, "max_memory", err.Error() +
			": want fewer requests at a time, or a larger --max-memory"}
	case err != nil:
		return nil, &fault{http.StatusBadRequest, "body", err.Error()}
	}
	_ = client.SetReadDeadline(time.Time{})
	return release, nil
}
