// Package http_test tests reboundhttp with real SDKs, servers with faulty HTTP/2, and networks that
// fail. Tests with delays run in a synctest bubble, over pipes instead of a network.
package http_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundhttp"
)

// pipe is a listener and the dialer to it.
type pipe struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipe() *pipe { return &pipe{make(chan net.Conn), make(chan struct{})} }

func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
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

// serve runs a server with the handler h, and returns a transport that is connected to it.
func serve(t *testing.T, h http.Handler) *http.Transport {
	p := newPipe()
	srv := &http.Server{Handler: h}
	go srv.Serve(p)
	base := &http.Transport{DialContext: p.dial}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		srv.Close()
	})
	return base
}

// outcomeOf returns what RoundTrip's caller gets: the attempts, and why there were no more. The
// reason is "" if the response is good.
func outcomeOf(resp *http.Response, err error) (attempts int, reason rebound.Reason) {
	if err == nil {
		call := reboundhttp.CallOf(resp)
		errors.As(call.Err, &reason)
		return call.Attempts, reason
	}
	var e *rebound.Error
	if errors.As(err, &e) {
		return e.Attempts, e.Reason
	}
	return 0, "no *rebound.Error"
}
