package proxy

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/proxy/strict"
)

// headTimeout bounds the time in which a client sends the head of a request.
const headTimeout = 10 * time.Second

// Serve serves until the context ends. Then it accepts no more requests, and requests in flight may
// end within drain, streams included. It returns the error of the listener, or
// context.DeadlineExceeded if requests did not end in time.
func (p *Proxy) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	s := &http.Server{
		Handler: p, ReadHeaderTimeout: headTimeout, MaxHeaderBytes: strict.MaxHead, ErrorLog: silent,
		IdleTimeout:                  2 * time.Minute,
		DisableGeneralOptionsHandler: true,
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(strict.Listen(l)) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	err := s.Shutdown(wait)
	if err != nil {
		_ = s.Close()
	}
	return err
}
