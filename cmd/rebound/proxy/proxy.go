// Package proxy is a local reverse proxy that makes the calls of programs in any language
// dependable: each request goes through an llm.Transport.
package proxy

import (
	"context"
	"iter"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/metrics"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/secret"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/strict"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/lru"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/llm"
)

// ServeHTTP checks a request, and sends it to the API.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	began := time.Now()
	x := &exchange{ResponseWriter: w, Outcome: metrics.Outcome{Status: http.StatusOK}}
	route := p.route(req)
	p.Metrics.Begin()
	defer func() {
		p.Metrics.End(p.name(route), x.Outcome)
		x.log(p.o.Log, req, p.name(route), time.Since(began))
	}()
	if slices.Contains(p.o.Origin, req.Header.Get("Origin")) {
		strict.AllowOrigin(w.Header(), req)
	}
	if fault := p.rejection(req, route); fault != nil {
		fault.write(x)
		return
	}
	if strict.IsPreflight(req) {
		x.WriteHeader(http.StatusNoContent)
		return
	}
	release, fault := p.hold(w, req)
	if fault != nil {
		fault.write(x)
		return
	}
	defer release()
	defer req.Body.Close()
	x.release = release
	x.secrets = append(secret.Of(req), p.o.Key, p.o.Token)
	sent := x.secrets
	if p.o.Key != "" {
		sent = secret.Secrets{p.o.Key}
	}
	c := p.client(route, sent)
	defer c.Done()
	c.Value.ServeHTTP(x, req.WithContext(withExchange(req.Context(), x)))
}

// route returns the index of the route with the longest prefix of the path; -1 = none.
func (p *Proxy) route(req *http.Request) int {
	best := -1
	for i, r := range p.o.Routes {
		fits := r.Prefix == "" && strings.HasPrefix(req.URL.Path, "/") || req.URL.Path == r.Prefix ||
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

// client sends the requests of one credential on one route.
type client struct {
	*httputil.ReverseProxy
	policy *rebound.Policy
	budget *budget.Budget // of the policy; nil = that of the route, which outlives the client
	quota  *llm.Quota
}

// client returns the client of a route and a credential, which is in use until Done. Clients share
// no breaker and no limit.
func (p *Proxy) client(route int, credential secret.Secrets) *lru.Entry[clientKey, *client] {
	return p.clients.Use(clientKey{route, credential.Hash()}, func() *client {
		return p.newClient(p.o.Routes[route])
	})
}

func (p *Proxy) newClient(r Route) *client {
	policy, quota := r.Policy(), &llm.Quota{Requests: p.o.Requests, Tokens: p.o.Tokens}
	own := policy.Budget
	if own == nil {
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
	if p.o.Observe != nil {
		policy.Observe = func(ctx context.Context, e rebound.Event) {
			secrets := exchangeOf(ctx).secrets
			e.Err, e.Fault.Err = secrets.Error(e.Err), secrets.Error(e.Fault.Err)
			e.Fault.Detail = secrets.Hide(e.Fault.Detail)
			p.o.Observe(ctx, e)
		}
	}
	return &client{&httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) { p.rewrite(pr, r) },
		Transport: &llm.Transport{Policy: policy, HeaderTimeout: p.o.HeaderTimeout,
			IdleTimeout: p.o.IdleTimeout, Quota: quota, Base: p.base},
		FlushInterval: -1, ModifyResponse: modify, ErrorHandler: p.failed, ErrorLog: silent,
		BufferPool: &p.buffers,
	}, policy, own, quota}
}

// Clients yields the policy and the quota of each client.
func (p *Proxy) Clients() iter.Seq2[*rebound.Policy, *llm.Quota] {
	return func(yield func(*rebound.Policy, *llm.Quota) bool) {
		for c := range p.clients.All() {
			if !yield(c.policy, c.quota) {
				return
			}
		}
	}
}

// maxWaiting bounds the queue of requests of one client, if MaxInFlight is set.
const maxWaiting = 10_000
