package daemon

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy forwards TCP connections to a server, over a network that may be slow, hang or break. A
// test starts one with [NewProxy]:
//
//	proxy := daemon.NewProxy(t, server.Addr())
//	client := dial(proxy.Addr)
//	proxy.Freeze()
//
// Any number of goroutines may use a Proxy.
type Proxy struct {
	Addr string // the address for clients

	mu    sync.Mutex // guards all below
	delay time.Duration
	thaw  chan struct{}     // is closed when bytes may pass; nil = they may
	conns map[net.Conn]bool // true: what it sends is lost
}

// NewProxy starts a proxy to an address. The server need not run yet: the proxy connects to it
// whenever a client connects. The proxy ends with the test.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	p := &Proxy{conns: map[net.Conn]bool{}}
	// Thaw comes before Cut: a forward that waits for it could not end otherwise.
	t.Cleanup(func() {
		p.Thaw()
		p.Cut()
	})
	p.Addr = Listen(t, func(client net.Conn) {
		server, err := net.Dial("tcp", to)
		if err != nil { // the client's connection ends, as without a proxy
			_ = client.Close()
			return
		}
		p.keep(client, server)
		go p.forward(server, client)
		go p.forward(client, server)
	})
	return p
}

// Listen serves each connection in a goroutine, and returns the address that it listens on. No
// connection is accepted after the test, but those that are open stay open.
func Listen(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String()
}

// Delay delays everything that is sent from now on by d, in both directions.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Freeze stops all bytes until Thaw. The connections stay open, and neither side can see that they
// hang, as with a network that loses every packet.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.thaw == nil {
		p.thaw = make(chan struct{})
	}
}

// Thaw ends a Freeze and sends what was held back. Without a Freeze it does nothing.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.thaw != nil {
		close(p.thaw)
		p.thaw = nil
	}
}

// Lose drops everything that is sent from now on over the open connections, in both directions.
// Neither side can see that. New connections work.
func (p *Proxy) Lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		p.conns[c] = true
	}
}

// Cut closes all connections, without an answer to what was sent. New ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

// keep records connections for Cut. A connection that has ended stays recorded; closing it again
// does no harm.
func (p *Proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = false
	}
}

// forward copies one direction of a connection until either side ends it. It reads the delay for
// each packet, so that a change also applies to open connections.
func (p *Proxy) forward(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	// A packet is what one Read returns, so a large answer is delayed piece by piece.
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		delay, thaw, lost := p.delay, p.thaw, p.conns[from]
		p.mu.Unlock()
		if lost {
			continue
		}
		if delay > 0 {
			pause(delay)
		}
		if thaw != nil {
			<-thaw
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
