package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/proxy"
)

// proxyFlags are the flags of `rebound proxy`, before they are read into o.
type proxyFlags struct {
	o        proxy.Options
	listen   string
	to       string
	routes   []string
	policies []string
	tokenEnv string
	keyEnv   string
	drain    time.Duration
	debug    string
	metrics  string
	log      string
}

func (f *proxyFlags) register(c *cobra.Command) {
	s, o := c.Flags(), &f.o
	s.StringVar(&f.listen, "listen", "127.0.0.1:7777", "address, or unix:/path; port 0 = a free one")
	s.StringVar(&f.to, "to", "", "URL of the API, for all paths")
	s.StringArrayVar(&f.routes, "route", nil, "/PREFIX=URL; may be repeated")
	s.StringArrayVarP(&f.policies, "policy", "p", nil, "policy for all, or /PREFIX=policy")
	s.Float64Var(&o.Requests, "rpm", 0, "requests per minute per credential; 0 = learned")
	s.Float64Var(&o.Tokens, "tpm", 0, "tokens per minute per credential; 0 = learned")
	s.IntVarP(&o.MaxInFlight, "max-in-flight", "j", 0,
		"most requests at a time per credential; 0 = no limit")
	s.BoolVar(&o.Breaker, "breaker", false, "add a breaker for each credential")
	s.StringVar(&f.tokenEnv, "token-env", "", "variable with the token that clients must send")
	s.StringVar(&o.Token, "token", "", "token that clients must send; visible in the process list")
	s.StringVar(&f.keyEnv, "key-env", "", "variable with the API key that replaces the client's token")
	s.StringArrayVar(&o.Origin, "allow-origin", nil, "origin of web pages that may send requests")
	s.Int64Var(&o.MaxBody, "max-body", 32<<20, "most bytes of a request's body")
	s.Int64Var(&o.MaxMemory, "max-memory", 256<<20, "most bytes of all request bodies together")
	durationVar(s, &o.HeaderTimeout, "header-timeout", 10*time.Minute, "time until a response begins")
	durationVar(s, &o.IdleTimeout, "idle-timeout", 5*time.Minute, "longest pause in a response")
	durationVar(s, &f.drain, "drain", 30*time.Second, "time for requests in flight at the end")
	s.StringVar(&f.debug, "debug", "", "address of the live page")
	s.StringVar(&f.metrics, "metrics", "", "address of the metrics, at /metrics")
	s.StringVar(&f.log, "log", "text", "log of the requests: text, json or off")
	complete(c, "log", []string{"text", "json", "off"})
}

// options reads the flags into f.o. The error names the invalid flag.
func (f *proxyFlags) options(c *cobra.Command, page *live) error {
	o := &f.o
	if f.debug != "" {
		o.Observe = page.recorder.Observe
	}
	if err := f.check(c.Flags()); err != nil {
		return err
	}
	if f.to != "" {
		f.routes = append(f.routes, "="+f.to)
	}
	for _, text := range f.routes {
		prefix, target, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("--route %s: want /PREFIX=URL, such as /openai=https://api.openai.com", text)
		}
		flag := "route " + prefix
		if prefix == "" {
			flag = "to"
		}
		u, err := parseHost(flag, target)
		if err != nil {
			return err
		}
		o.Routes = append(o.Routes, proxy.Route{Prefix: prefix, Target: u})
	}
	if err := f.choosePolicies(); err != nil {
		return err
	}
	for _, v := range []struct {
		flag, name string
		to         *string
	}{{"token-env", f.tokenEnv, &o.Token}, {"key-env", f.keyEnv, &o.Key}} {
		if v.name == "" {
			continue
		}
		if *v.to = os.Getenv(v.name); *v.to == "" {
			return fmt.Errorf("--%s: $%s is not set", v.flag, v.name)
		}
	}
	switch f.log {
	case "text":
		o.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
	case "json":
		o.Log = slog.New(slog.NewJSONHandler(c.ErrOrStderr(), nil))
	case "off":
	default:
		return fmt.Errorf("--log %q: want text, json or off", f.log)
	}
	return nil
}

// check returns an error for an invalid number or origin.
func (f *proxyFlags) check(s *pflag.FlagSet) error {
	o := &f.o
	for _, n := range []struct {
		flag  string
		value float64
		zero  bool // is allowed
	}{
		{"rpm", o.Requests, true}, {"tpm", o.Tokens, true},
		{"max-in-flight", float64(o.MaxInFlight), true},
		{"max-body", float64(o.MaxBody), false}, {"max-memory", float64(o.MaxMemory), false},
		{"header-timeout", float64(o.HeaderTimeout), false},
		{"idle-timeout", float64(o.IdleTimeout), false},
	} {
		switch {
		case n.zero && !(n.value >= 0) || math.IsInf(n.value, 1):
			return fmt.Errorf("--%s %s: want 0 or more", n.flag, s.Lookup(n.flag).Value)
		case !n.zero && !(n.value > 0):
			return fmt.Errorf("--%s %s: want more than 0", n.flag, s.Lookup(n.flag).Value)
		}
	}
	if o.MaxBody > o.MaxMemory {
		return fmt.Errorf("--max-body %d: want no more than --max-memory, which is %d", o.MaxBody,
			o.MaxMemory)
	}
	for _, origin := range o.Origin {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme+"://"+u.Host != origin || u.Host == "" {
			return fmt.Errorf("--allow-origin %q: want an origin such as http://localhost:3000", origin)
		}
	}
	return nil
}

// choosePolicies sets the policy of each route: the route's own --policy, otherwise the one for
// all. The order of the flags does not matter.
func (f *proxyFlags) choosePolicies() error {
	type choice struct {
		text   string
		policy named
		used   bool
	}
	chosen := map[string]*choice{} // by prefix; empty = for all
	for _, text := range f.policies {
		prefix, ref, one := strings.Cut(text, "=")
		if !one || !strings.HasPrefix(prefix, "/") {
			prefix, ref = "", text
		}
		prefix = strings.TrimSuffix(prefix, "/")
		p, err := findOne(ref)
		if err == nil {
			_, err = p.build()
		}
		if err != nil {
			return err
		}
		if first := chosen[prefix]; first != nil {
			return fmt.Errorf("--policy %s and --policy %s are for the same routes: want one of them",
				first.text, text)
		}
		chosen[prefix] = &choice{text: text, policy: p}
	}
	for i := range f.o.Routes {
		r := &f.o.Routes[i]
		c := cmp.Or(chosen[strings.TrimSuffix(r.Prefix, "/")], chosen[""])
		if c == nil {
			continue
		}
		c.used = true
		r.Policy = func() *rebound.Policy {
			fresh, _ := c.policy.build() // it succeeded before
			return fresh
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(chosen)) {
		c := chosen[prefix]
		if !c.used && prefix == "" && len(f.o.Routes) > 0 {
			return fmt.Errorf("--policy %s has no effect: each route has its own --policy", c.text)
		}
		if !c.used && prefix != "" {
			return fmt.Errorf("--policy %s: there is no --route %s", c.text, prefix)
		}
	}
	return nil
}
