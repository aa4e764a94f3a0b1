package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/proxy"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/strict"
)

const proxyHelp = `Repeat the failed requests of programs in any language.

A program sends its requests to the proxy in the place of the API: set its base URL to the address
that is printed. With a command behind -- the proxy runs it with these variables, and ends with
it: REBOUND_BASE_URL, OPENAI_BASE_URL, ANTHROPIC_BASE_URL, and NAME_BASE_URL for a route /name.

Credentials pass through. Each has limits and a breaker of its own. Nothing that the proxy writes
has one. It listens on a loopback address or a unix socket; any other address needs --token.

Response headers: Rebound-Attempts, Rebound-Waited, Rebound-Stopped. A response that is not worth a
retry of the client's own has X-Should-Retry: false.

Exit code:
  0      drained after SIGINT or SIGTERM
  125    rebound itself failed: a flag, the address
  or that of the command`

// proxyFlags are the flags of `rebound proxy` as they are written.
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

func newProxy() *cobra.Command {
	var f proxyFlags
	c := &cobra.Command{
		Use:   "proxy [flags] [-- command [argument]...]",
		Short: "Repeat the failed requests of programs in any language",
		Long:  proxyHelp,
		Example: "  rebound proxy --route /openai=https://api.openai.com\n" +
			"  rebound proxy --to https://ocr.example.com -- python3 night.py",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 && c.ArgsLenAtDash() != 0 {
				return ownError{fmt.Errorf("argument %q: want -- before the command", args[0])}
			}
			return f.run(c, args)
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return ownError{err} })
	f.register(c)
	return c
}

func (f *proxyFlags) register(c *cobra.Command) {
	s, o := c.Flags(), &f.o
	s.StringVar(&f.listen, "listen", "127.0.0.1:7777", "address, or unix:/path; port 0 = any")
	s.StringVar(&f.to, "to", "", "URL of the API, for all paths")
	s.StringArrayVar(&f.routes, "route", nil, "/PREFIX=URL; may be repeated")
	s.StringArrayVarP(&f.policies, "policy", "p", nil, "policy for all, or /PREFIX=policy")
	s.Float64Var(&o.Requests, "rpm", 0, "requests per minute of a credential; 0 = learned")
	s.Float64Var(&o.Tokens, "tpm", 0, "tokens per minute of a credential; 0 = learned")
	s.IntVarP(&o.MaxInFlight, "max-in-flight", "j", 0, "most requests of a credential; 0 = no limit")
	s.BoolVar(&o.Breaker, "breaker", false, "a breaker for each credential")
	s.StringVar(&f.tokenEnv, "token-env", "", "variable with the token that clients must send")
	s.StringVar(&o.Token, "token", "", "token that clients must send; visible in the process list")
	s.StringVar(&f.keyEnv, "key-env", "", "variable with the API's key, sent for the client's token")
	s.StringArrayVar(&o.Origin, "allow-origin", nil, "origin of pages in browsers that may call")
	s.Int64Var(&o.MaxBody, "max-body", 32<<20, "most bytes of a request")
	s.Int64Var(&o.MaxMemory, "max-memory", 256<<20, "most bytes of all requests under way")
	s.DurationVar(&o.HeaderTimeout, "header-timeout", 10*time.Minute, "time to a response's header")
	s.DurationVar(&o.IdleTimeout, "idle-timeout", 5*time.Minute, "longest pause of a response")
	s.DurationVar(&f.drain, "drain", 30*time.Second, "time for requests under way at the end")
	s.StringVar(&f.debug, "debug", "", "address of the live page")
	s.StringVar(&f.metrics, "metrics", "", "address of the metrics, at /metrics")
	s.StringVar(&f.log, "log", "text", "a line for each request: text, json or off")
	complete(c, "log", []string{"text", "json", "off"})
}

// run serves until a signal, or until the command ends.
func (f *proxyFlags) run(c *cobra.Command, command []string) error {
	watched := &watchedPolicies{}
	if err := f.options(c, watched); err != nil {
		return ownError{err}
	}
	l, err := listen(f.listen)
	if err != nil {
		return ownError{err}
	}
	defer l.Close()
	if f.o.Token == "" {
		if f.o.Hosts, err = strict.Hosts(l.Addr()); err != nil {
			return ownError{err}
		}
	}
	p, err := proxy.New(f.o)
	if err != nil {
		return ownError{err}
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, side := range []struct {
		addr    string
		path    string
		handler http.Handler
	}{{f.debug, "/", watched}, {f.metrics, "/metrics", &p.Metrics}} {
		if side.addr == "" {
			continue
		}
		closeSide, err := serveSide(side.addr, side.path, side.handler)
		if err != nil {
			return ownError{err}
		}
		defer closeSide()
	}
	base := baseOf(l.Addr())
	for _, r := range f.o.Routes {
		c.PrintErrf("rebound: %s%s → %s\n", base, r.Prefix, r.Target.Redacted())
	}
	if len(command) == 0 {
		if err := p.Serve(ctx, l, f.drain); err != nil {
			return ownError{err}
		}
		return nil
	}
	served, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(served, l, f.drain) }()
	code := runWith(command, f.variables(base))
	end()
	<-ended
	if code != 0 {
		return exited(code)
	}
	return nil
}

// options reads the routes, the policies and the secrets.
func (f *proxyFlags) options(c *cobra.Command, watched *watchedPolicies) error {
	o := &f.o
	if f.to != "" {
		f.routes = append(f.routes, "="+f.to)
	}
	for _, text := range f.routes {
		prefix, target, ok := strings.Cut(text, "=")
		u, err := url.Parse(target)
		if !ok || err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" ||
			u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("--route %q: want /PREFIX=URL, such as /openai=https://api.openai.com", text)
		}
		o.Routes = append(o.Routes, proxy.Route{Prefix: prefix, Target: u})
	}
	if err := f.choosePolicies(watched); err != nil {
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

// choosePolicies gives each route the policy that is named for it, or for all.
func (f *proxyFlags) choosePolicies(watched *watchedPolicies) error {
	f.o.Watch = watched.add
	for _, text := range f.policies {
		prefix, ref, one := strings.Cut(text, "=")
		if !one || !strings.HasPrefix(prefix, "/") {
			prefix, ref = "", text
		}
		p, err := findOne(ref)
		if err != nil {
			return err
		}
		if _, err := p.build(); err != nil {
			return err
		}
		used := false
		for i := range f.o.Routes {
			r := &f.o.Routes[i]
			if prefix != "" && r.Prefix != prefix {
				continue
			}
			used = true
			r.Policy = func() *rebound.Policy {
				fresh, _ := p.build() // it was built before without an error
				fresh.Observe = watched.recorder.Observe
				return fresh
			}
		}
		if !used {
			return fmt.Errorf("--policy %s: there is no route %s", text, prefix)
		}
	}
	return nil
}

// baseOf is the URL of a listener.
func baseOf(addr net.Addr) string {
	if addr.Network() == "unix" {
		return "unix:" + addr.String()
	}
	return "http://" + addr.String()
}

// variables are the environment of the command.
func (f *proxyFlags) variables(base string) (env []string) {
	env = append(os.Environ(), "REBOUND_BASE_URL="+base)
	for _, r := range f.o.Routes {
		url := base + r.Prefix
		name := strings.ToUpper(strings.Trim(strings.ReplaceAll(r.Prefix, "/", "_"), "_-"))
		name = strings.ReplaceAll(name, "-", "_")
		switch {
		case r.Prefix == "":
			env = append(env, "OPENAI_BASE_URL="+url+"/v1", "ANTHROPIC_BASE_URL="+url)
		case name == "OPENAI": // its SDKs have the version in the base URL
			env = append(env, name+"_BASE_URL="+url+"/v1")
		default:
			env = append(env, name+"_BASE_URL="+url)
		}
	}
	return env
}
