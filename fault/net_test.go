package fault_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound/fault"
)

// handshakeTimeout is like net/http's.
type handshakeTimeout struct{}

func (handshakeTimeout) Error() string { return "net/http: TLS handshake timeout" }
func (handshakeTimeout) Timeout() bool { return true }

// clientTimeout is like the error of http.Client.Timeout.
type clientTimeout struct{ text string }

func (e clientTimeout) Error() string {
	return e.text + " (Client.Timeout exceeded while awaiting headers)"
}
func (e clientTimeout) Timeout() bool        { return true }
func (e clientTimeout) Is(target error) bool { return target == context.DeadlineExceeded }

// calledOff is like net's own error for a canceled dial.
type calledOff struct{}

func (calledOff) Error() string        { return "operation was canceled" }
func (calledOff) Is(target error) bool { return target == context.Canceled }

var netRows = slices.Concat(endedRows, dialRows, nameRows, brokenRows, securityRows)

// endedRows are failures by a context or a deadline.
var endedRows = []row{
	{"canceled", context.Canceled, fault.Canceled, fault.MaybeDone, "context canceled"},
	{"canceled request", get(context.Canceled), fault.Canceled, fault.MaybeDone, ""},
	{"canceled dial", get(dial(calledOff{})), fault.Canceled, fault.NotSent, "canceled"},
	{"deadline", context.DeadlineExceeded, fault.Transient, fault.MaybeDone, "timeout"},
	{"deadline of a request", get(context.DeadlineExceeded), fault.Transient, fault.MaybeDone, ""},
	{"deadline while dialing", get(dial(context.DeadlineExceeded)),
		fault.Transient, fault.NotSent, "timeout"},
	{"I/O deadline", os.ErrDeadlineExceeded, fault.Transient, fault.MaybeDone, "timeout"},
	{"read deadline", read(os.ErrDeadlineExceeded), fault.Transient, fault.MaybeDone, "timeout"},
	{"dial timeout", get(dial(os.ErrDeadlineExceeded)), fault.Transient, fault.NotSent, "timeout"},
	{"client timeout", get(clientTimeout{"context deadline exceeded"}),
		fault.Transient, fault.MaybeDone, "timeout"},
	{"client timeout while dialing", get(clientTimeout{"dial tcp 192.0.2.1:80: i/o timeout"}),
		fault.Transient, fault.NotSent, "timeout"},
	{"client timeout before a connection", get(clientTimeout{
		"net/http: request canceled while waiting for connection"}),
		fault.Transient, fault.NotSent, "timeout"},
	{"handshake timeout", get(handshakeTimeout{}), fault.Transient, fault.NotSent, "timeout"},
	{"timed out", read(sys("read", syscall.ETIMEDOUT)), fault.Transient, fault.MaybeDone, ""},
	{"dial timed out", dial(sys("connect", syscall.ETIMEDOUT)),
		fault.Transient, fault.NotSent, ""},
}

// dialRows are failures without a connection, and those that only look like them.
var dialRows = []row{
	{"refused", get(dial(sys("connect", syscall.ECONNREFUSED))),
		fault.Transient, fault.NotSent, "connection refused"},
	{"bare refused", syscall.ECONNREFUSED, fault.Transient, fault.NotSent, ""},
	{"host unreachable", dial(sys("connect", syscall.EHOSTUNREACH)),
		fault.Transient, fault.NotSent, ""},
	{"net unreachable", syscall.ENETUNREACH, fault.Transient, fault.NotSent, ""},
	{"unreachable in the middle", read(sys("read", syscall.EHOSTUNREACH)),
		fault.Transient, fault.MaybeDone, ""},
	{"proxy refused", &net.OpError{Op: "proxyconnect", Err: syscall.ECONNRESET},
		fault.Transient, fault.NotSent, ""},
	{"unknown dial error", dial(errors.New("odd")), fault.Transient, fault.NotSent, "dial"},
	{"unknown read error", read(errors.New("odd")), fault.Transient, fault.MaybeDone, "read"},
	{"listening", &net.OpError{Op: "listen", Err: errors.New("odd")},
		fault.Unknown, fault.MaybeDone, "listen"},
}

// nameRows are failures of name servers.
var nameRows = []row{
	{"no such host", get(dial(&net.DNSError{Err: "no such host", IsNotFound: true})),
		fault.Permanent, fault.NotSent, "no such host"},
	{"name server trouble", dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true}),
		fault.Transient, fault.NotSent, "dns: server misbehaving"},
	{"name server timeout", &net.DNSError{Err: "i/o timeout", IsTimeout: true},
		fault.Transient, fault.NotSent, "dns: i/o timeout"},
	{"not found for now", &net.DNSError{Err: "x", IsNotFound: true, IsTemporary: true},
		fault.Transient, fault.NotSent, ""},
	{"odd name error", &net.DNSError{Err: "odd"}, fault.Unknown, fault.NotSent, "dns: odd"},
}

// brokenRows are connections that broke.
var brokenRows = []row{
	{"reset", get(read(sys("read", syscall.ECONNRESET))),
		fault.Transient, fault.MaybeDone, "connection reset by peer"},
	{"broken pipe", get(write(sys("write", syscall.EPIPE))),
		fault.Transient, fault.MaybeDone, "broken pipe"},
	{"peer closed", get(io.EOF), fault.Transient, fault.MaybeDone, "EOF"},
	{"bare EOF", io.EOF, fault.Transient, fault.MaybeDone, "EOF"},
	{"body cut", io.ErrUnexpectedEOF, fault.Transient, fault.MaybeDone, "unexpected EOF"},
	{"closed under us", read(net.ErrClosed), fault.Transient, fault.MaybeDone, ""},
	{"closed pipe", io.ErrClosedPipe, fault.Transient, fault.MaybeDone, ""},
}

// securityRows are failures of TLS and of addresses, which no retry fixes.
var securityRows = []row{
	{"certificate", get(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}),
		fault.Permanent, fault.NotSent, "tls.CertificateVerificationError"},
	{"unknown authority", x509.UnknownAuthorityError{}, fault.Permanent, fault.NotSent, ""},
	{"host name", x509.HostnameError{Certificate: &x509.Certificate{}},
		fault.Permanent, fault.NotSent, "x509.HostnameError"},
	{"expired", x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{}},
		fault.Permanent, fault.NotSent, ""},
	{"alert", &net.OpError{Op: "remote error", Err: tls.AlertError(40)},
		fault.Permanent, fault.MaybeDone, "tls: handshake failure"},
	{"own alert", &net.OpError{Op: "local error", Err: errors.New("tls: bad record MAC")},
		fault.Transient, fault.MaybeDone, "tls: bad record MAC"},
	{"not TLS", tls.RecordHeaderError{}, fault.Permanent, fault.NotSent, ""},
	{"bad url", &url.Error{Op: "parse", URL: ":", Err: errors.New("missing protocol scheme")},
		fault.Permanent, fault.NotSent, "invalid url"},
	{"bad address", dial(&net.AddrError{Err: "missing port in address", Addr: "x"}),
		fault.Permanent, fault.NotSent, "net.AddrError"},
}

func TestNet(t *testing.T) { check(t, netRows) }

// TestHTTPTexts are errors of net/http that have no type.
func TestHTTPTexts(t *testing.T) {
	const permanent, transient = fault.Permanent, fault.Transient
	var rows []row
	for _, r := range []struct {
		text string
		kind fault.Kind
		sent fault.Sent
	}{
		{"http: server gave HTTP response to HTTPS client", permanent, fault.NotSent},
		{`unsupported protocol scheme "ftp"`, permanent, fault.NotSent},
		{`net/http: invalid header field name "a b"`, permanent, fault.NotSent},
		{`net/http: invalid method "G T"`, permanent, fault.NotSent},
		{"http: no Host in request URL", permanent, fault.NotSent},
		{"http: nil Request.URL", permanent, fault.NotSent},
		{"stopped after 10 redirects", permanent, fault.MaybeDone},
		{"stopped after 10 tries", fault.Unknown, fault.MaybeDone},
		{`malformed HTTP response "\x15\x03\x01\x00\x02\x02"`, permanent, fault.NotSent},
		{`malformed HTTP response "\x00\x00\x12\x04\x00"`, permanent, fault.MaybeDone},
		{`malformed HTTP response "nonsense"`, transient, fault.MaybeDone},
		{`malformed HTTP status code "2x0"`, transient, fault.MaybeDone},
		{"malformed MIME header line: Cont", transient, fault.MaybeDone},
		{"http: server closed idle connection", transient, fault.MaybeDone},
		{"net/http: HTTP/1.x transport connection broken: odd", transient, fault.MaybeDone},
		{"net/http: request canceled", fault.Canceled, fault.MaybeDone},
		{"net/http: request canceled while waiting for connection", fault.Canceled, fault.NotSent},
		{"http2: client connection lost", transient, fault.MaybeDone},
		{"http2: Transport received Server's graceful shutdown GOAWAY", transient, fault.MaybeDone},
		{"http2: Transport received GOAWAY from server ErrCode:NO_ERROR", transient,
			fault.MaybeDone},
		{"http2: Transport received GOAWAY from server ErrCode:ENHANCE_YOUR_CALM",
			fault.Overloaded, fault.MaybeDone},
		{"http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR," +
			` debug=""`, transient, fault.MaybeDone},
		{"http2: server sent GOAWAY and closed the connection; LastStreamID=1, " +
			`ErrCode=ENHANCE_YOUR_CALM, debug=""`, fault.Overloaded, fault.MaybeDone},
	} {
		rows = append(rows, row{r.text, get(errors.New(r.text)), r.kind, r.sent, ""})
	}
	check(t, rows)
}

// TestRealHTTP reads the errors of net/http itself.
func TestRealHTTP(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = quiet
	clear := httptest.NewServer(http.HandlerFunc(misbehave))
	defer clear.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	impatient := &http.Client{Timeout: 50 * time.Millisecond}
	over, cancel := context.WithCancel(context.Background())
	cancel()

	for _, tc := range []struct {
		name   string
		url    string
		client *http.Client
		ctx    context.Context
		kind   fault.Kind
		sent   fault.Sent
	}{
		{"refused", gone.URL, nil, nil, fault.Transient, fault.NotSent},
		{"unknown authority", secure.URL, nil, nil, fault.Permanent, fault.NotSent},
		{"http on an https port", strings.Replace(clear.URL, "http:", "https:", 1), nil, nil,
			fault.Permanent, fault.NotSent},
		{"scheme", "ftp://127.0.0.1/", nil, nil, fault.Permanent, fault.NotSent},
		{"no host", "http:///x", nil, nil, fault.Permanent, fault.NotSent},
		{"redirects", clear.URL + "/around", nil, nil, fault.Permanent, fault.MaybeDone},
		{"closed", clear.URL + "/close", nil, nil, fault.Transient, fault.MaybeDone},
		{"garbage", clear.URL + "/garbage", nil, nil, fault.Transient, fault.MaybeDone},
		{"cut", clear.URL + "/cut", nil, nil, fault.Transient, fault.MaybeDone},
		{"timeout", clear.URL + "/hang", impatient, nil, fault.Transient, fault.MaybeDone},
		{"canceled", clear.URL, nil, over, fault.Canceled, fault.MaybeDone},
	} {
		err := fetch(tc.ctx, tc.client, tc.url)
		if f := fault.Of(err); f.Kind != tc.kind || f.Sent != tc.sent {
			t.Errorf("%s: Of(%v) = %v %v, want %v %v", tc.name, err,
				f.Kind, f.Sent, tc.kind, tc.sent)
		}
	}
}

func fetch(ctx context.Context, client *http.Client, url string) error {
	if ctx == nil {
		ctx = context.Background()
	}
	if client == nil {
		client = &http.Client{Transport: &http.Transport{}}
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// misbehave fails in the way that the path names.
func misbehave(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/around" {
		http.Redirect(w, r, "/around", http.StatusFound)
		return
	}
	if r.URL.Path == "/hang" {
		<-r.Context().Done()
		return
	}
	conn, out, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	answer(out, r.URL.Path)
}

func answer(out *bufio.ReadWriter, path string) {
	defer out.Flush()
	switch path {
	case "/garbage":
		fmt.Fprint(out, "nonsense\r\n\r\n")
	case "/cut":
		fmt.Fprint(out, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
	}
}

func TestCutHeader(t *testing.T) {
	err := fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w",
		textproto.ProtocolError("malformed MIME header line: Cont"))
	if f := fault.Of(err); f.Kind != fault.Transient || f.Sent != fault.MaybeDone {
		t.Errorf("%v: got %v, %v, want transient, maybe_done", err, f.Kind, f.Sent)
	}
}
