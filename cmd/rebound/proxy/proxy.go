// Package proxy is a local reverse proxy that makes the calls of programs in any language
// dependable: each request goes through an llm.Transport.
package proxy

import (
	"crypto/sha256"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/metrics"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/llm"
)

// ServeHTTP sends a request on, after all checks.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	began := time.Now()
	x := &exchange{ResponseWriter: w, Outcome: metrics.Outcome{Status: http.StatusOK}}
	route := p.route(req)
	p.Metrics.Begin()
	defer func() {
		p.Metrics.End(p.name(route), x.Outcome)
		p.log(req, p.name(route), x, time.Since(began))
	}()
	if fault := p.refused(req, route); fault != nil {
		fault.write(x)
		return
	}
	held, fault := p.hold(req)
	if fault != nil {
		fault.write(x)
		return
	}
	defer p.memory.Release(held)
	p.client(route, req).ServeHTTP(x, req.WithContext(withExchange(req.Context(), x)))
}

// route returns the index of the longest prefix of the path; -1 = none.
func (p *Proxy) route(req *http.Request) int {
	best := -1
	for i, r := range p.o.Routes {
		fits := r.Prefix == "" || req.URL.Path == r.Prefix ||
			strings.HasPrefix(req.URL.Path, r.Prefix+"/")
		if fits && (best < 0 || len(r.Prefix) > len(p.o.Routes[best].Prefix)) {
			best = i
		}
	}
	return best
}

func (p *Proxy) name(route int) string {
	if route < 0 {
		return "none"
	}
	if prefix := p.o.Routes[route].Prefix; prefix != "" {
		return prefix
	}
	return "/"
}

// client returns what sends the requests of one credential. Its breakers and limits are of no
// other.
func (p *Proxy) client(route int, req *http.Request) *httputil.ReverseProxy {
	key := clientKey{route, sha256.Sum256([]byte(credential(req)))}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.clients[key]; c != nil {
		return c
	}
	for old := range p.clients { // any: what is forgotten learns again
		if len(p.clients) < maxClients {
			break
		}
		delete(p.clients, old)
	}
	c := p.newClient(p.o.Routes[route])
	p.clients[key] = c
	return c
}

func (p *Proxy) newClient(r Route) *httputil.ReverseProxy {
	policy := r.Policy()
	if policy.Budget == nil {
		policy.Budget = r.budget
	}
	if p.o.Breaker && policy.Breaker == nil {
		policy.Breaker = &breaker.Breaker{Name: r.Target.Host}
	}
	if n := p.o.MaxInFlight; n > 0 {
		policy.Gates = append([]gate.Gate{
			&limit.Concurrency{Name: r.Target.Host, Max: n, Queue: maxWaiting},
		}, policy.Gates...)
	}
	if p.o.Watch != nil {
		p.o.Watch(policy)
	}
	t := &llm.Transport{
		Policy: policy, HeaderTimeout: p.o.HeaderTimeout, IdleTimeout: p.o.IdleTimeout,
		Quota: &llm.Quota{Requests: p.o.Requests, Tokens: p.o.Tokens}, Base: p.base,
	}
	return &httputil.ReverseProxy{
		Rewrite:        func(pr *httputil.ProxyRequest) { p.rewrite(pr, r) },
		Transport:      t,
		FlushInterval:  -1,
		ModifyResponse: modify,
		ErrorHandler:   failed,
		ErrorLog:       silent,
	}
}

// maxWaiting is how many requests of one credential wait for others of it to end.
const maxWaiting = 10_000
