package proxy

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/secret"
	"github.com/rebound-go/rebound/reboundhttp"
)

var silent = log.New(io.Discard, "", 0)

// ours are the request headers that are not passed on.
var ours = []string{"Proxy-Authorization", "X-Rebound-Token", "Cookie", "Accept-Encoding",
	"Origin", "Expect", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Via", "Te", "X-Real-Ip"}

// rewrite makes the request to the API. Hop-by-hop and forwarded headers are already dropped.
// Without Accept-Encoding, net/http unpacks the answers, so that their errors can be read.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest, r Route) {
	out := pr.Out
	path := strings.TrimPrefix(pr.In.URL.Path, r.Prefix)
	raw := strings.TrimPrefix(pr.In.URL.EscapedPath(), r.Prefix)
	out.URL.Scheme, out.URL.Host, out.Host = r.Target.Scheme, r.Target.Host, r.Target.Host
	out.URL.Path = strings.TrimSuffix(r.Target.Path, "/") + path
	out.URL.RawPath = strings.TrimSuffix(r.Target.EscapedPath(), "/") + raw
	out.URL.RawQuery = pr.In.URL.RawQuery
	for _, name := range ours {
		out.Header.Del(name)
	}
	if p.o.Key != "" {
		secret.Replace(out, p.o.Key)
	}
	if out.GetBody = pr.In.GetBody; out.Body != nil {
		out.Body = pr.In.Body // not ReverseProxy's wrapper, which stays open until the response ends
	}
}

// modify adds the attempts, the delays and the error of the call to a response.
func modify(resp *http.Response) error {
	call := reboundhttp.CallOf(resp)
	x := exchangeOf(resp.Request.Context())
	x.release() // already now, because a stream may last for hours
	x.Attempts = call.Attempts
	for _, d := range call.Waits {
		x.Waited += d
	}
	for name := range resp.Header { // drops headers that only the proxy may send
		if strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "Rebound-") ||
			name == "Alt-Svc" { // it would lead clients past the proxy
			resp.Header.Del(name)
		}
	}
	resp.Header.Set("Rebound-Attempts", strconv.Itoa(call.Attempts))
	if x.Waited > 0 {
		resp.Header.Set("Rebound-Waited", fmt.Sprintf("%.3fs", x.Waited.Seconds()))
	}
	if e := (*rebound.Error)(nil); errors.As(call.Err, &e) {
		x.Stopped = string(e.Reason)
		resp.Header.Set("Rebound-Stopped", x.Stopped)
	}
	return nil
}

// failed answers a request if the API sent no response.
func (p *Proxy) failed(w http.ResponseWriter, req *http.Request, err error) {
	x := exchangeOf(req.Context())
	f := &fault{http.StatusBadGateway, "failed", secret.Secrets{p.o.Key, p.o.Token}.Hide(err.Error())}
	if e := (*rebound.Error)(nil); errors.As(err, &e) {
		x.Attempts, x.Stopped = e.Attempts, string(e.Reason)
		f.code = strings.ReplaceAll(string(e.Reason), " ", "_")
		switch {
		case errors.Is(e, rebound.Rejected), errors.Is(e, rebound.OutOfBudget):
			f.status = http.StatusServiceUnavailable
			if after := e.DescribeFault().After; after > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())+1))
			}
		case e.Timeout(), errors.Is(e, rebound.PastElapsed), errors.Is(e, rebound.PastDeadline):
			f.status = http.StatusGatewayTimeout
		}
	}
	if req.Context().Err() != nil { // the client is gone
		x.Status, x.Stopped = 499, "client gone"
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Rebound-Attempts", strconv.Itoa(x.Attempts))
	f.write(x)
}
