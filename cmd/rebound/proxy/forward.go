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

// ours are headers that are meant for the proxy.
var ours = []string{"Proxy-Authorization", "X-Rebound-Token", "Cookie", "Accept-Encoding",
	"Origin", "Expect", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Via", "Te", "X-Real-Ip"}

// rewrite makes the request that is sent on. Hop-by-hop and forwarded headers are dropped already.
// Accept-Encoding goes so that net/http unpacks answers, whose errors are read.
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
		out.Body = pr.In.Body // without the cover that stays open until the response has ended
	}
}

// modify adds to a response what it took.
func modify(resp *http.Response) error {
	call := reboundhttp.CallOf(resp)
	x := exchangeOf(resp.Request.Context())
	x.release() // a stream may last for hours
	x.Attempts = call.Attempts
	for _, d := range call.Waits {
		x.Waited += d
	}
	for name := range resp.Header { // which the proxy alone may send
		if strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "Rebound-") ||
			name == "Alt-Svc" { // a way round the proxy
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

// failed answers a request that has no response.
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
