package main

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rebound-go/rebound/cmd/rebound/proxy"
	"github.com/rebound-go/rebound/cmd/rebound/proxy/strict"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/rebounddebug"
	"github.com/rebound-go/rebound/stats"
)

// live is the live page of a proxy.
type live struct {
	recorder stats.Recorder
	proxy    *proxy.Proxy // set before the page is served
}

// page returns the live page, which is read-only. It reads the breakers and limits for each
// request.
func (l *live) page() http.Handler {
	return rebounddebug.Handler(rebounddebug.Options{
		Title: "rebound proxy", Recorder: &l.recorder,
		Groups:      []iter.Seq[rebounddebug.Breaker]{l.breakers},
		LimitGroups: []iter.Seq[limit.Snapshot]{l.limits},
	})
}

func (l *live) breakers(yield func(rebounddebug.Breaker) bool) {
	for p := range l.proxy.Clients() {
		if p.Breaker != nil && !yield(p.Breaker) {
			return
		}
	}
}

func (l *live) limits(yield func(limit.Snapshot) bool) {
	for p, quota := range l.proxy.Clients() {
		for _, g := range p.Gates {
			if one, ok := g.(rebounddebug.Limit); ok && !yield(one.Snapshot()) {
				return
			}
		}
		for s := range quota.Snapshots() {
			if !yield(s) {
				return
			}
		}
	}
}

// listen opens the address of --listen.
func listen(addr string) (net.Listener, error) {
	path, ok := strings.CutPrefix(addr, "unix:")
	if !ok {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			err = fmt.Errorf("--listen: %w", err)
		}
		return l, err
	}
	if path == "" {
		return nil, fmt.Errorf("--listen %s: want a path, such as unix:/run/user/1000/rebound", addr)
	}
	if _, err := net.Dial("unix", path); errors.Is(err, syscall.ECONNREFUSED) && isSocket(path) {
		_ = os.Remove(path) // of a proxy that was killed
	}
	return listenUnix(path)
}

func isSocket(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSocket != 0
}

// serveSide serves a read-only page of a flag on a separate loopback address, until end is called.
func serveSide(
	c *cobra.Command, flag, addr, path string, h http.Handler,
) (end func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	hosts, err := strict.Hosts(l.Addr())
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("--%s %s: want a loopback address, such as localhost:8080", flag, addr)
	}
	mux := http.NewServeMux()
	mux.Handle(path, h)
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, req *http.Request) {
			switch {
			case !slices.Contains(hosts, strings.ToLower(req.Host)):
				http.Error(w, "this host name is not served here", http.StatusMisdirectedRequest)
			case req.Method != http.MethodGet && req.Method != http.MethodHead:
				http.Error(w, "read-only", http.StatusMethodNotAllowed)
			default:
				mux.ServeHTTP(w, req)
			}
		})}
	go func() { _ = s.Serve(l) }()
	c.PrintErrf("rebound: --%s is at http://%s%s\n", flag, l.Addr(), path)
	return func() { _ = s.Close() }, nil
}
