package reboundhttp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
)

// muting is a proxy whose connections can stop: they stay open, but pass no data.
type muting struct {
	net.Listener
	mu    sync.Mutex
	mute  []chan struct{} // of each connection, closed when it stops
	conns atomic.Int32
	left  chan struct{} // gets a value when the client no longer uses one of them
}

// clientConn is a connection as the client has it. The Transport closes it first. net/http closes
// it once more when it uses it no longer.
type clientConn struct {
	net.Conn
	late   bool // net/http detects the first Close only by a Write
	closes atomic.Int32
	left   chan<- struct{}
}

func (c *clientConn) Close() error {
	n := c.closes.Add(1)
	if n == 2 {
		c.left <- struct{}{}
	}
	if c.late && n == 1 {
		return nil
	}
	return c.Conn.Close()
}

func (c *clientConn) Write(b []byte) (int, error) {
	if c.closes.Load() > 0 {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func mutingProxy(t *testing.T, to string) *muting {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &muting{Listener: l, left: make(chan struct{}, 100)}
	var open []net.Conn
	go func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			p.conns.Add(1)
			mute := make(chan struct{})
			p.mu.Lock()
			p.mute = append(p.mute, mute)
			open = append(open, front, back)
			p.mu.Unlock()
			go pass(front, back, mute)
			go pass(back, front, mute)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range open {
			c.Close()
		}
	})
	return p
}

// pass copies from a to b, and drops data when mute is closed.
func pass(a, b net.Conn, mute chan struct{}) {
	defer b.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := a.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-mute:
		default:
			_, _ = b.Write(buf[:n])
		}
	}
}

// silence stops all open connections.
func (p *muting) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.mute {
		close(m)
	}
	p.mute = nil
}

// h2 returns a server that speaks HTTP/2, a proxy before it, and a transport through that.
func h2(t *testing.T, h http.HandlerFunc) (string, *muting, *http.Transport) {
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	p := mutingProxy(t, srv.Listener.Addr().String())
	t.Cleanup(srv.CloseClientConnections)
	base := srv.Client().Transport.(*http.Transport)
	base.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.Addr().String())
		if err != nil {
			return nil, err
		}
		return &clientConn{Conn: conn, left: p.left}, nil
	}
	t.Cleanup(base.CloseIdleConnections)
	return srv.URL, p, base
}

const soon = 2 * time.Second

// TestDeadConnectionIsLeft: after a timeout on an HTTP/2 connection, the next attempt and the next
// call go out on another.
func TestDeadConnectionIsLeft(t *testing.T) {
	for name, set := range map[string]func(*Transport){
		"FirstByteTimeout": func(t *Transport) { t.FirstByteTimeout = soon },
		"AttemptTimeout":   func(t *Transport) { t.Policy.AttemptTimeout = soon },
		"MaxElapsed":       func(t *Transport) { t.Policy.MaxElapsed = soon },
		"ResponseHeaderTimeout": func(t *Transport) {
			t.Base.(*http.Transport).ResponseHeaderTimeout = soon
		},
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				url, proxy, base := h2(t, func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, r.Proto)
				})
				tr := &Transport{Base: base, Policy: &rebound.Policy{
					Attempts: 2, Budget: budget.Unlimited,
					Backoff: backoff.Constant(20 * time.Millisecond),
				}}
				set(tr)
				c := &http.Client{Transport: tr}
				do := func() (Call, error) {
					req, _ := http.NewRequest(method, url, nil)
					resp, err := c.Do(req)
					if err != nil {
						return Call{}, err
					}
					if got := read(t, resp); got != "HTTP/2.0" {
						t.Errorf("the server got %s", got)
					}
					return CallOf(resp), nil
				}
				if _, err := do(); err != nil {
					t.Fatal(err)
				}
				proxy.silence()
				call, err := do()
				switch {
				case tr.Policy.MaxElapsed > 0 && !errors.Is(err, rebound.PastElapsed):
					t.Errorf("after the silence: %v, want past_elapsed", err)
				case tr.Policy.MaxElapsed > 0:
				case method == "GET" && (err != nil || call.Attempts != 2):
					t.Errorf("after the silence: %v, %d attempts, want 2", err, call.Attempts)
				case method == "POST" && err == nil:
					t.Error("a POST that may have arrived was sent again")
				}
				<-proxy.left // for an instant, net/http still uses a connection that was closed
				if call, err := do(); err != nil || call.Attempts != 1 {
					t.Errorf("the next call: %v, %d attempts, want 1", err, call.Attempts)
				}
				if n := proxy.conns.Load(); n != 2 {
					t.Errorf("%d connections, want 2", n)
				}
				if n := len(tr.uses.n); n != 0 {
					t.Errorf("%d connections are in use, want 0", n)
				}
			})
		}
	}
}

// TestClosedConnectionSendsNothing: if net/http has not detected yet that a connection was closed,
// and gives it to another request, then the request was not sent.
func TestClosedConnectionSendsNothing(t *testing.T) {
	for name, next := range map[string]context.Context{
		"timeouts": t.Context(),
		"no timeouts": WithPolicy(t.Context(), &rebound.Policy{
			Attempts: 2, Budget: budget.Unlimited, Backoff: backoff.Constant(time.Millisecond)}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, proxy, base := h2(t, func(w http.ResponseWriter, r *http.Request) {})
			dial := base.DialContext
			base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				if err == nil {
					conn.(*clientConn).late = true
				}
				return conn, err
			}
			tr := &Transport{Base: base, Policy: &rebound.Policy{
				Attempts: 2, Budget: budget.Unlimited, AttemptTimeout: soon,
			}}
			do := func(ctx context.Context) (Call, error) {
				req, _ := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader("body"))
				resp, err := tr.RoundTrip(req)
				if err != nil {
					return Call{}, err
				}
				read(t, resp)
				return CallOf(resp), nil
			}
			if _, err := do(t.Context()); err != nil {
				t.Fatal(err)
			}
			proxy.silence()
			if _, err := do(t.Context()); !errors.Is(err, rebound.NotIdempotent) {
				t.Errorf("a POST to a silent server: %v, want not_idempotent", err)
			}
			for h := range tr.hosts.all {
				h.closed.Store(0) // it was longer ago than unnoticed
			}
			// The write that ends the stream of the call before may have been the one that failed.
			if call, err := do(next); err != nil || call.Attempts > 2 {
				t.Errorf("the next call: %v, %d attempts", err, call.Attempts)
			}
			if n := proxy.conns.Load(); n != 2 {
				t.Errorf("%d connections, want 2", n)
			}
		})
	}
}

// An attempt counts only the connections that were open when it got them.
func TestClosedConnectionsCount(t *testing.T) {
	for _, counted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			u := &connUses{}
			dead, used, open := &net.TCPConn{}, &net.TCPConn{}, &net.TCPConn{}
			u.hold(new(net.Conn), used)
			for _, conn := range []net.Conn{dead, used} {
				u.hold(new(net.Conn), conn)
				if shared := u.release(conn, true); shared != (conn == used) {
					t.Errorf("shared = %v", shared)
				}
			}
			u.release(tls.Client(open, &tls.Config{}), true) // of HTTP/1, and so not remembered
			if len(u.closed) != 1 {
				t.Errorf("%d closed connections are remembered, want 1", len(u.closed))
			}
			attempt := func(conns ...net.Conn) connCounts {
				c := &connTrace{uses: u, counted: counted}
				for _, conn := range conns {
					c.asked.Add(1)
					c.gotConn(httptrace.GotConnInfo{Conn: conn})
				}
				u.release(u.take(&c.conn), false)
				return connCounts{asked: int(c.asked.Load()), conns: int(c.conns.Load())}
			}
			for range 2 {
				for _, row := range []struct {
					conns []net.Conn
					want  int
				}{{[]net.Conn{dead}, 0}, {[]net.Conn{used}, 1}, {[]net.Conn{dead, open}, 1}} {
					got := attempt(row.conns...)
					if got.conns != row.want || got.unsent() != (row.want == 0) {
						t.Errorf("counted %v: %+v, want %d", counted, got, row.want)
					}
				}
				time.Sleep(closedFor - 1)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if got := attempt(dead); got.conns != 1 || len(u.closed) != 0 {
				t.Errorf("%+v and %d remembered after %v", got, len(u.closed), closedFor)
			}
		})
	}
}

// slowToClose is a connection whose Close takes until another request has got it.
type slowToClose struct {
	net.Conn
	got func()
}

func (c *slowToClose) Close() error {
	c.got()
	return c.Conn.Close()
}

// A request that gets a connection before it is closed may have been sent.
func TestConnectionsAreOpenUntilClosed(t *testing.T) {
	u := &connUses{}
	open := false
	server, client := net.Pipe()
	defer server.Close()
	conn := &slowToClose{Conn: client}
	conn.got = func() { open = u.hold(new(net.Conn), conn) }
	u.hold(new(net.Conn), conn)
	if u.release(conn, true); !open || u.hold(nil, conn) {
		t.Errorf("open before Close returns: %v, and after: %v", open, u.hold(nil, conn))
	}
}

// TestDeadBodyIsLeft: the connection of a body that pauses too long serves no further request.
func TestDeadBodyIsLeft(t *testing.T) {
	t.Parallel()
	url, proxy, base := h2(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/endless" {
			<-r.Context().Done()
		}
	})
	c := &http.Client{Transport: &Transport{Base: base, IdleTimeout: soon,
		Policy: &rebound.Policy{Attempts: 1}}}
	resp, err := c.Get(url + "/endless")
	if err != nil {
		t.Fatal(err)
	}
	proxy.silence()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reading: %v, want a timeout", err)
	}
	resp.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	if resp, err = c.Do(req); err != nil {
		t.Fatalf("the next call: %v", err)
	}
	read(t, resp)
}

// TestSharedConnectionStays: a slow request does not end others on its connection. After it, new
// requests use another connection.
func TestSharedConnectionStays(t *testing.T) {
	t.Parallel()
	slow, begun := make(chan struct{}), make(chan struct{}, 9)
	url, proxy, base := h2(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		if r.URL.Path != "/" {
			select {
			case <-slow:
			case <-r.Context().Done():
			}
		}
		io.WriteString(w, "done")
	})
	tr := &Transport{Base: base, Policy: &rebound.Policy{Attempts: 1}}
	c := &http.Client{Transport: tr}
	get := func(path string, timeout time.Duration) (*http.Response, error) {
		ctx := WithPolicy(t.Context(), &rebound.Policy{Attempts: 1, AttemptTimeout: timeout})
		req, _ := http.NewRequestWithContext(ctx, "GET", url+path, nil)
		return c.Do(req)
	}
	var patient sync.WaitGroup
	patient.Go(func() {
		resp, err := get("/patient", time.Minute)
		if err != nil {
			t.Errorf("the other request: %v", err)
			return
		}
		if got := read(t, resp); got != "done" {
			t.Errorf("the other request got %q", got)
		}
	})
	<-begun
	if _, err := get("/hasty", soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the slow request: %v, want a timeout", err)
	}
	close(slow)
	patient.Wait()
	for range 2 { // the first may go out on the old connection
		resp, err := get("/", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		read(t, resp)
	}
	if n := proxy.conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}
