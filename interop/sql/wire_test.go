//go:build linux

package sql_test

import (
	"io"
	"strconv"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/rebound-go/rebound/internal/daemon"
)

// wire is a TCP connection to a server that a test can break.
type wire struct {
	proxy *toxiproxy.Proxy
	t     testing.TB
}

func newWire(t testing.TB, d *database) *wire {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()),
		zerolog.New(io.Discard))
	w := &wire{t: t}
	// Between Stop and Start, no process listens at the port.
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	w.proxy = toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:"+strconv.Itoa(port), d.Addr())
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.Stop)
	return w
}

func (w *wire) addr() string { return w.proxy.Listen }

// cut breaks all connections; new ones can be made at once.
func (w *wire) cut() {
	w.proxy.Stop()
	if err := w.proxy.Start(); err != nil {
		w.t.Error(err)
	}
}

// mute drops everything that the server sends, on old and new connections, until the wire is cut.
// Data to the server still arrives.
func (w *wire) mute() {
	const toxic = `{"name": "mute", "type": "timeout", "stream": "downstream", "toxicity": 1,
		"attributes": {"timeout": 0}}`
	if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		w.t.Error(err)
	}
}

// mend ends what mute began. The answers on their way are lost, with their connections.
func (w *wire) mend() {
	w.proxy.Stop()
	w.proxy.Toxics.ResetToxics(w.t.Context())
	if err := w.proxy.Start(); err != nil {
		w.t.Error(err)
	}
}
