package proxy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/body"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/metrics"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/strict"
	"github.com/rebound-go/rebound/internal/lru"
	"github.com/rebound-go/rebound/llm"
)

// Options are the flags of the command. A zero field means its default.
type Options struct {
	Routes []Route
	Hosts  []string // accepted Host headers, such as localhost:7777; nil = any
	Token  string   // token that clients must send; empty = none
	Key    string   // API key that replaces the client's credential; empty = none; needs a Token
	Origin []string // origins of web pages that may send requests

	MaxBody   int64 // bytes of a request's body; 0 = 32 MiB
	MaxMemory int64 // bytes of all bodies in memory; 0 = 256 MiB

	HeaderTimeout time.Duration // until a response begins; 0 = llm.Transport's default
	IdleTimeout   time.Duration // between bytes of a response; 0 = llm.Transport's default

	Requests, Tokens float64 // per minute, for each credential and model; 0 = learned
	MaxInFlight      int     // for each credential; 0 = no limit
	Breaker          bool    // each credential gets a breaker if the policy has none

	Log     *slog.Logger                         // nil = none
	Observe func(context.Context, rebound.Event) // of all policies, without credentials; nil = none
}

// Route sends requests below a prefix to an API.
type Route struct {
	Prefix string                 // such as /openai; empty = all
	Target *url.URL               // such as https://api.openai.com
	Policy func() *rebound.Policy // a fresh one for each credential; nil = llm.NewPolicy

	budget *budget.Budget // that all credentials share
}

const (
	defaultMaxBody   = 32 << 20
	defaultMaxMemory = 256 << 20
)

// Proxy is the http.Handler of the proxy.
type Proxy struct {
	o       Options
	memory  *body.Memory
	buffers body.Buffers
	base    http.RoundTripper
	Metrics metrics.Metrics // of all requests

	clients lru.Map[clientKey, *client]
}

// clientKey identifies a client: by a route and the hash of a credential.
type clientKey struct {
	route      int
	credential [sha256.Size]byte
}

// New checks the options and returns a proxy.
func New(o Options) (*Proxy, error) {
	if len(o.Routes) == 0 {
		return nil, fmt.Errorf("there is no route: want --to URL or --route /PREFIX=URL")
	}
	seen := map[string]bool{}
	for i := range o.Routes {
		r := &o.Routes[i]
		r.Prefix = strings.TrimSuffix(r.Prefix, "/")
		switch {
		case r.Prefix != "" && r.Prefix[0] != '/':
			return nil, fmt.Errorf("route %q: want a prefix that begins with a slash", r.Prefix)
		case seen[r.Prefix]:
			return nil, fmt.Errorf("route %q occurs twice: want a prefix for each route", r.Prefix)
		case r.Target.Scheme == "http" && !strict.IsLoopback(r.Target.Hostname()):
			return nil, fmt.Errorf("route %q: %s is not encrypted: want https, or a loopback address",
				r.Prefix, r.Target.Redacted())
		}
		seen[r.Prefix] = true
		if r.Policy == nil {
			r.Policy = llm.NewPolicy
		}
		r.budget = &budget.Budget{}
	}
	if o.Key != "" && o.Token == "" {
		return nil, fmt.Errorf("--key-env needs --token-env: otherwise any client could use the key")
	}
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.MaxMemory <= 0 {
		o.MaxMemory = defaultMaxMemory
	}
	return &Proxy{o: o, memory: body.New(o.MaxBody, o.MaxMemory), base: newBase()}, nil
}

// newBase returns the transport to the APIs. It uses no proxy from the environment. It follows no
// redirects, because it is not in an http.Client.
func newBase() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxIdleConnsPerHost = 256
	t.MaxIdleConns = 1024
	return t
}
