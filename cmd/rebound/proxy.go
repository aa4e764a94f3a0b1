package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/proxy"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/strict"
)

const proxyHelp = `Repeat the failed requests of programs in any language.

A program sends its requests to the proxy instead of the API: set the program's base URL to the
address that is printed. With a command after --, the proxy runs the command and ends with it. The
command gets these variables: REBOUND_BASE_URL, NAME_BASE_URL for a route /name, OPENAI_BASE_URL and
ANTHROPIC_BASE_URL for --to, and REBOUND_SOCKET for a unix socket.

Credentials pass through to the API. Each has its own limits, and with --breaker its own breaker.
Credentials are never written to logs or metrics. The proxy listens on a loopback address or a unix
socket. Any other address requires --token-env or --token.

Responses have the headers Rebound-Attempts, Rebound-Waited and Rebound-Stopped. If another retry by
the client is pointless, the response has X-Should-Retry: false.

Exit code:
  0      stopped by SIGINT or SIGTERM, and all requests have ended
  125    rebound itself failed, or requests did not end within --drain
With a command, the exit code is that of the command: 128+n after signal n, 126 if it cannot be run,
127 if it does not exist.`

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
			if err := commandName(c, args); err != nil {
				return err
			}
			return f.run(c, args)
		},
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return ownError{flagError(c, err)} })
	f.register(c)
	return c
}

// run serves until a signal arrives, or until the command ends.
func (f *proxyFlags) run(c *cobra.Command, command []string) error {
	var page live
	if err := f.options(c, &page); err != nil {
		return ownError{err}
	}
	l, err := listen(f.listen)
	if err != nil {
		return ownError{err}
	}
	defer l.Close()
	if f.o.Token == "" {
		if f.o.Hosts, err = strict.Hosts(l.Addr()); err != nil {
			return ownError{fmt.Errorf("--listen %s: %w", f.listen, err)}
		}
	}
	if page.proxy, err = proxy.New(f.o); err != nil {
		return ownError{err}
	}
	for _, side := range []struct {
		flag, addr, path string
		handler          http.Handler
	}{{"debug", f.debug, "/", page.page()}, {"metrics", f.metrics, "/metrics", &page.proxy.Metrics}} {
		if side.addr == "" {
			continue
		}
		end, err := serveSide(c, side.flag, side.addr, side.path, side.handler)
		if err != nil {
			return ownError{err}
		}
		defer end()
	}
	base := baseOf(l.Addr())
	for _, r := range f.o.Routes {
		c.PrintErrf("rebound: %s%s → %s\n", base, r.Prefix, r.Target.Redacted())
	}
	if len(command) > 0 {
		return f.around(c.Context(), page.proxy, l, command)
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the drain
	return f.drained(page.proxy.Serve(ctx, l, f.drain))
}

// around serves while it runs the command. It returns the command's exit code, or the error of
// serving.
func (f *proxyFlags) around(
	ctx context.Context, p *proxy.Proxy, l net.Listener, command []string,
) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, l, f.drain) }()
	code := runWith(command, f.variables(l.Addr()))
	end()
	err := f.drained(<-ended)
	if code != 0 {
		return exited(code)
	}
	return err
}

// drained returns the error of a proxy that has ended. err is the result of Serve.
func (f *proxyFlags) drained(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("requests were cut off: they did not end within --drain %v", f.drain)
	}
	return ownError{err}
}

// baseOf returns the URL of a listener.
func baseOf(addr net.Addr) string {
	if addr.Network() == "unix" {
		return "unix:" + addr.String()
	}
	return "http://" + addr.String()
}

// variables returns the environment of the command. With a unix socket, REBOUND_SOCKET has its
// path. Then the base URLs have a host that never resolves, because a client must use the socket.
func (f *proxyFlags) variables(addr net.Addr) (env []string) {
	base := baseOf(addr)
	env = os.Environ()
	if addr.Network() == "unix" {
		base = "http://rebound.invalid"
		env = append(env, "REBOUND_SOCKET="+addr.String())
	}
	env = append(env, "REBOUND_BASE_URL="+base)
	for _, r := range f.o.Routes {
		url := base + r.Prefix
		name := strings.ToUpper(strings.Trim(notInNames.ReplaceAllString(r.Prefix, "_"), "_"))
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

// notInNames matches the characters that a variable's name cannot have.
var notInNames = regexp.MustCompile(`[^A-Za-z0-9]+`)
