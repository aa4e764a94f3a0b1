package proxy

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/proxy/strict"
)

// headTimeout is how long a client may take for the head of a request.
const headTimeout = 10 * time.Second

// Serve serves until the context ends. Then no request is taken any more, and those under way have
// the time of drain to end; a stream is such a request. The error is that of the listener, or that
// the drain was too short.
func (p *Proxy) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	s := &http.Server{
		Handler: p, ReadHeaderTimeout: headTimeout, MaxHeaderBytes: strict.MaxHead, ErrorLog: silent,
		IdleTimeout: 2 * time.Minute,
		// Chunks and lengths are what the strict listener follows.
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
