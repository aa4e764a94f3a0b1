package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/rebounddebug"
)

const debugPath = "/debug/rebound/"

// debugPage is the live page of a run.
type debugPage struct {
	url    string // with the token for forcing breakers
	server *http.Server
	served chan struct{} // closed when the server has ended
}

func serveDebug(addr string, p *policies) (*debugPage, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("-debug: %w", err)
	}
	token := rand.Text()
	mux := http.NewServeMux()
	mux.Handle(debugPath, rebounddebug.Handler(rebounddebug.Options{
		Title:        "receipts",
		Policies:     []*rebound.Policy{p.ocr, p.vision},
		Recorder:     &p.recorder,
		Changes:      &p.changes,
		ControlToken: token,
	}))
	d := &debugPage{
		url:    fmt.Sprintf("http://%s%s#token=%s", listener.Addr(), debugPath, token),
		server: &http.Server{Handler: mux}, served: make(chan struct{}),
	}
	go func() {
		defer close(d.served)
		_ = d.server.Serve(listener)
	}()
	return d, nil
}

// stop ends the server and closes its connections. On a nil page it does nothing.
func (d *debugPage) stop() {
	if d != nil {
		_ = d.server.Close()
		<-d.served
	}
}
