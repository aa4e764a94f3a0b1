package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// fault is a request that the proxy does not send on.
type fault struct {
	status        int
	code, message string
}

// write answers in the shape of the providers' errors, so that SDKs make their usual exception.
func (f *fault) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Should-Retry", "false")
	h.Set("Rebound-Stopped", f.code)
	w.WriteHeader(f.status)
	type inner struct {
		Type    string `json:"type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	// OpenAI's SDKs read error, and Anthropic's type, too.
	_ = json.NewEncoder(w).Encode(struct {
		Type  string `json:"type"`
		Error inner  `json:"error"`
	}{"error", inner{"rebound_error", "rebound_" + f.code, "rebound proxy: " + f.message}})
}

// refused returns why a request must not be sent on; nil if it may.
func (p *Proxy) refused(req *http.Request, route int) *fault {
	switch {
	case req.Method == http.MethodConnect || req.URL.Host != "" || req.URL.Scheme != "":
		return &fault{http.StatusMethodNotAllowed, "no_forward_proxy", "this is no forward proxy: " +
			"set it as the base URL, and not as HTTP_PROXY"}
	case p.o.Hosts != nil && !slices.Contains(p.o.Hosts, strings.ToLower(req.Host)):
		return &fault{http.StatusMisdirectedRequest, "host", fmt.Sprintf("host %q is not this proxy",
			req.Host)}
	case p.fromForeignPage(req):
		return &fault{http.StatusForbidden, "origin", "pages in a browser may not call: allow theirs " +
			"with --allow-origin"}
	case req.Header.Get("Upgrade") != "":
		return &fault{http.StatusNotImplemented, "upgrade", "WebSockets and other upgrades are not " +
			"supported"}
	case p.o.Token != "" && !p.authorized(req):
		return &fault{http.StatusProxyAuthRequired, "token", "want the proxy's token in " +
			"Proxy-Authorization: Bearer TOKEN, or in X-Rebound-Token"}
	case route < 0:
		return &fault{http.StatusNotFound, "route", "no route has this path"}
	}
	return nil
}

// fromForeignPage reports whether a browser has sent the request for a page that may not call.
func (p *Proxy) fromForeignPage(req *http.Request) bool {
	if origin := req.Header.Get("Origin"); origin != "" {
		return !slices.Contains(p.o.Origin, origin)
	}
	site := req.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// authorized reports whether a request has the token. With a key of the proxy's own the client's
// credential may be the token, since an SDK cannot send another.
func (p *Proxy) authorized(req *http.Request) bool {
	given := []string{req.Header.Get("X-Rebound-Token"), bearer(req.Header.Get("Proxy-Authorization"))}
	if p.o.Key != "" {
		for _, name := range credentials {
			given = append(given, bearer(req.Header.Get(name)))
		}
	}
	return slices.ContainsFunc(given, func(t string) bool { return sameToken(t, p.o.Token) })
}

func bearer(value string) string {
	scheme, token, ok := strings.Cut(value, " ")
	if ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(token)
	}
	return value
}

// hold reads the body, so that it can be sent again. The bytes count until the request has ended.
func (p *Proxy) hold(req *http.Request) (held int64, f *fault) {
	tooLong := &fault{http.StatusRequestEntityTooLarge, "max_body", fmt.Sprintf(
		"the body has more than %d bytes: see --max-body", p.o.MaxBody)}
	most := req.ContentLength
	switch {
	case most > p.o.MaxBody:
		return 0, tooLong
	case most < 0:
		most = p.o.MaxBody
	}
	most = min(most, p.o.MaxMemory)
	if !p.memory.TryAcquire(most) {
		return 0, &fault{http.StatusServiceUnavailable, "max_memory", "too many requests are under " +
			"way: see --max-memory"}
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, p.o.MaxBody+1))
	if int64(len(body)) > p.o.MaxBody {
		p.memory.Release(most)
		return 0, tooLong
	}
	if err != nil {
		p.memory.Release(most)
		return 0, &fault{http.StatusBadRequest, "body", "the body broke off"}
	}
	if left := most - int64(len(body)); left > 0 {
		p.memory.Release(left)
		most -= left
	}
	req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, int64(len(body))
	if len(body) > 0 {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	req.TransferEncoding = nil
	return most, nil
}
