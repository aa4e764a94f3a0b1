package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/rebounddebug"
	"github.com/rebound-go/rebound/stats"
)

// watchedPolicies serves the live page of the policies in use.
type watchedPolicies struct {
	recorder stats.Recorder
	mu       sync.Mutex
	list     []*rebound.Policy
}

func (w *watchedPolicies) add(p *rebound.Policy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Observe == nil {
		p.Observe = w.recorder.Observe
	}
	w.list = append(w.list, p)
}

// ServeHTTP shows the policies that are in use at the time.
func (w *watchedPolicies) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	w.mu.Lock()
	list := append([]*rebound.Policy(nil), w.list...)
	w.mu.Unlock()
	rebounddebug.Handler(rebounddebug.Options{
		Title: "rebound proxy", Policies: list, Recorder: &w.recorder,
	}).ServeHTTP(rw, req)
}

// listen opens the address of a flag.
func listen(addr string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		l, err := net.Listen("unix", path)
		if err == nil {
			err = os.Chmod(path, 0o600)
		}
		return l, err
	}
	return net.Listen("tcp", addr)
}

// serveSide serves what is not for the clients, on an address of its own.
func serveSide(addr, path string, h http.Handler) (closeIt func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		_ = l.Close()
		return nil, fmt.Errorf("%s: want a loopback address, such as localhost:8080", addr)
	}
	mux := http.NewServeMux()
	mux.Handle(path, h)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(l) }()
	return func() { _ = s.Close() }, nil
}
