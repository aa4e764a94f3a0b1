// Package llm_test tests llm with the SDKs of OpenAI, Anthropic and Google, with their own retries
// on and off. Tests with delays run in a synctest bubble, over pipes instead of a network.
package llm_test

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

// pipe is a listener and the dialer to it.
type pipe struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	close(p.done)
	return nil
}

func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// wire is a server that counts the requests that reach it.
type wire struct {
	*http.Transport // connected to it
	requests        atomic.Int32
}

func serve(t *testing.T, h http.HandlerFunc) *wire {
	w := &wire{}
	p := &pipe{make(chan net.Conn), make(chan struct{})}
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.requests.Add(1)
		h(rw, r)
	})}
	go func() { _ = srv.Serve(p) }()
	w.Transport = &http.Transport{DialContext: p.dial}
	t.Cleanup(func() {
		w.CloseIdleConnections()
		_ = srv.Close()
	})
	return w
}

func (w *wire) count() int { return int(w.requests.Load()) }
