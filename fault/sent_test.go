package fault_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
)

func post(err error) error { return &url.Error{Op: "Post", URL: "https://example.test", Err: err} }

// TestSentOfTrees: each of several branches has to prove that the server did not act.
func TestSentOfTrees(t *testing.T) {
	refused := dial(sys("connect", refusedErrno))
	reset := read(sys("read", syscall.ECONNRESET))
	checkBare(t, []bareRow{
		{"two replicas", errors.Join(refused, reset), transient, maybe},
		{"the other way round", errors.Join(reset, refused), transient, maybe},
		{"both refused", errors.Join(refused, refused), transient, notSent},
		{"refused and rejected", errors.Join(refused, pg("40001")), transient, notDone},
		{"refused and in doubt", errors.Join(refused, pg("40003")), transient, maybe},
		{"refused and cut", fmt.Errorf("a: %w; b: %w", refused, io.ErrUnexpectedEOF), transient,
			maybe},
		{"refused and late", errors.Join(refused, context.DeadlineExceeded), transient, maybe},
		{"refused and anything", errors.Join(refused, errors.New("x")), transient, maybe},
		{"refused and anything of a type", errors.Join(refused, given2{}), transient, maybe},
		{"refused and a bad gateway", errors.Join(refused, sdkError{StatusCode: 502}), transient,
			maybe},
		{"deep", fmt.Errorf("x: %w", errors.Join(fmt.Errorf("y: %w", errors.Join(refused, reset)),
			refused)), transient, maybe},
		{"deep, all refused", fmt.Errorf("x: %w", errors.Join(errors.Join(refused, refused),
			refused)), transient, notSent},
		{"nothing beside", errors.Join(nil, refused, (*net.OpError)(nil)), transient, notSent},
		{"nothing at all beside", errors.Join(refused, multi{nil}), transient, maybe},
		{"a panic beside", errors.Join(refused, &damaged{}), transient, maybe},
		{"more than is looked at", errors.Join(refused, deep(2000, refused)), transient, maybe},
		{"a label", fmt.Errorf("%w: %w", errors.New("charge"), refused), transient, notSent},
		{"no label, though its text is", fmt.Errorf("x %w: %w", refused, errors.New("x")),
			transient, maybe},
		{"no label, but a failure", fmt.Errorf("a: %w, b: %w", errors.New("x"), refused),
			transient, maybe},

		{"a status that decides", sdkError{StatusCode: 429, err: errors.Join(reset, refused)},
			fault.RateLimited, notDone},
		{"an answer beside a reset", errors.Join(sql.ErrNoRows, reset), transient, maybe},
		{"the other way round", errors.Join(reset, sql.ErrNoRows), transient, maybe},
		{"an answer beside a timeout", errors.Join(sql.ErrNoRows, context.DeadlineExceeded),
			transient, maybe},
		{"an answer beside a refusal", errors.Join(sql.ErrNoRows, pg("23505")), permanent, notDone},
		{"two answers", errors.Join(sql.ErrNoRows, sql.ErrNoRows), fault.None, notDone},
		{"an answer around a reset", noData{reset}, fault.None, notDone},
		{"a label of an answer", fmt.Errorf("%w: %w", errors.New("no such user"), sql.ErrNoRows),
			fault.None, notDone},
	})
}

// TestSentOfDescribers: the outermost error that describes itself decides the kind alone.
func TestSentOfDescribers(t *testing.T) {
	refused := dial(sys("connect", refusedErrno))
	reset := read(sys("read", syscall.ECONNRESET))
	described := func(k fault.Kind, s fault.Sent) error {
		return given{f: fault.Fault{Kind: k, Sent: s}}
	}
	checkBare(t, []bareRow{
		{"described and reset", errors.Join(described(transient, notSent), reset), transient, maybe},
		{"reset and described", errors.Join(reset, described(transient, notSent)), transient, maybe},
		{"described and refused", errors.Join(described(overloaded, notDone), refused), overloaded,
			notDone},
		{"a described answer beside a reset", errors.Join(described(fault.None, notDone), reset),
			transient, maybe},
		{"a described answer beside a failure", errors.Join(described(fault.None, notDone),
			described(overloaded, notDone)), overloaded, notDone},
		{"a described answer", described(fault.None, notDone), fault.None, notDone},
		{"marked", mark.New(errors.Join(refused, reset), transient, 0), transient, maybe},
		{"marked beside a reset", errors.Join(mark.New(refused, transient, 0), reset), transient,
			maybe},
	})
}

// bareRow is a row whose error is not to be wrapped.
type bareRow struct {
	name string
	err  error
	kind fault.Kind
	sent fault.Sent
}

func checkBare(t *testing.T, rows []bareRow) {
	t.Helper()
	for _, r := range rows {
		if f := fault.Of(r.err); f.Kind != r.kind || f.Sent != r.sent {
			t.Errorf("%s: Of(%v) = %v %v, want %v %v", r.name, r.err, f.Kind, f.Sent, r.kind, r.sent)
		}
	}
}

// noData is an answer that keeps what came before it.
type noData struct{ err error }

func (noData) Error() string    { return "no data" }
func (noData) SQLState() string { return "02000" }
func (n noData) Unwrap() error  { return n.err }

// damaged is an error whose Unwrap panics.
type damaged struct{}

func (*damaged) Error() string { return "damaged" }
func (*damaged) Unwrap() error { panic("Unwrap") }

// deep wraps err n times.
func deep(n int, err error) error {
	for range n {
		err = fmt.Errorf("x: %w", err)
	}
	return err
}

// TestSentBehindRedirect: http.Client names the method of the first request, whichever failed.
func TestSentBehindRedirect(t *testing.T) {
	refused := dial(sys("connect", refusedErrno))
	check(t, []row{
		{"a dial", post(refused), transient, maybe, "connection refused"},
		{"a name", post(dial(&net.DNSError{Err: "no such host", IsNotFound: true})), permanent,
			maybe, "no such host"},
		{"a certificate", post(&tls.CertificateVerificationError{}), permanent, maybe, ""},
		{"a timeout while dialing", post(dial(context.DeadlineExceeded)), transient, maybe, ""},
		{"a scheme", post(errors.New(`unsupported protocol scheme "ftp"`)), permanent, maybe, ""},
		{"a stream refused", post(&h2StreamError{StreamID: 3, Code: 7}), transient, maybe, ""},
		{"described", post(given{f: fault.Fault{Kind: transient, Sent: notSent}}), transient,
			maybe, ""},
		{"behind Connect's error", &connectError{code: 14, err: post(refused)}, transient, maybe, ""},
		{"patch", &url.Error{Op: "Patch", Err: refused}, transient, maybe, ""},
		{"no method", &url.Error{Err: refused}, transient, maybe, ""},
		{"get", get(refused), transient, notSent, ""},
		{"head", &url.Error{Op: "Head", Err: refused}, transient, notSent, ""},
		{"no redirect", refused, transient, notSent, ""},
		{"an answer around", sdkError{StatusCode: 429, err: post(refused)}, fault.RateLimited,
			notDone, ""},
	})
}

// TestPaymentIsNotPostedAgain shows the consequence.
func TestPaymentIsNotPostedAgain(t *testing.T) {
	down := httptest.NewServer(nil)
	down.Close()
	paid := 0
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paid++
		http.Redirect(w, r, down.URL, http.StatusSeeOther)
	}))
	defer shop.Close()
	p := &rebound.Policy{NonIdempotent: true, Backoff: backoff.Constant(0)}
	err := rebound.Run(t.Context(), p, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, shop.URL, nil)
		if err != nil {
			return err
		}
		resp, err := shop.Client().Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	})
	if paid != 1 || !errors.Is(err, rebound.NotIdempotent) {
		t.Errorf("paid %d times, %v, want once, not idempotent", paid, err)
	}
}

// TestBelieved: claims of drivers and connections about themselves prove nothing.
func TestBelieved(t *testing.T) {
	refused := dial(sys("connect", refusedErrno))
	alert := func(op, text string) error { return &net.OpError{Op: op, Err: errors.New(text)} }
	header := func(msg string) error { return tls.RecordHeaderError{Msg: msg} }
	rows := []row{
		{"bad connection", driver.ErrBadConn, transient, maybe, ""},
		{"safe to retry", pgUnsent{true, io.ErrClosedPipe}, transient, maybe, ""},
		{"safe to retry, a dial", pgUnsent{true, refused}, transient, notSent, ""},
		{"safe to retry, of connecting", pgUnsent{true, &ConnectError{err: errors.New("x")}},
			transient, notSent, ""},

		{"not TLS", header("first record does not look like a TLS handshake"), permanent, notSent, ""},
		{"SSLv2", header("unsupported SSLv2 handshake received"), permanent, notSent, ""},
		{"an odd record", header("received record with version 5a5a when expecting version 303"),
			transient, maybe, ""},
		{"a long record", header("oversized record received with length 30000"), transient, maybe,
			""},
		{"an unknown alert", alert("remote error", "tls: alert(99)"), unknown, maybe, ""},
		{"no alert", &net.OpError{Op: "remote error"}, unknown, maybe, "tls alert"},
	}
	// Numbers of a dial, or of a router that answers a packet of an open connection.
	for _, number := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH,
		syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL} {
		for _, op := range []string{"readfrom", "writeto", "close", "set", ""} {
			err := &net.OpError{Op: op, Net: "tcp", Err: number}
			rows = append(rows, row{op + " " + number.Error(), err, transient, maybe, ""})
		}
		for _, call := range []string{"sendfile", "splice", "read", "write", "sendmsg", "wsasend"} {
			rows = append(rows, row{call, sys(call, number), transient, maybe, ""},
				row{call + " in readfrom", &net.OpError{Op: "readfrom", Err: sys(call, number)},
					transient, maybe, ""})
		}
		for _, call := range []string{"socket", "bind", "connect", "connectex"} {
			rows = append(rows, row{call, sys(call, number), transient, notSent, ""})
		}
	}
	rows = append(rows,
		row{"a dial's text in a read", read(clientTimeout{"dial tcp 192.0.2.1:80: i/o timeout"}),
			transient, maybe, ""},
		row{"a handshake in passing", clientTimeout{"last of 3: TLS handshake timeout"},
			transient, maybe, ""})
	for _, text := range []string{"bad record MAC", "unexpected message", "record overflow",
		"decryption failed", "error decoding message", "error decrypting message",
		"internal error", "user canceled"} {
		rows = append(rows, row{text, alert("local error", "tls: "+text), transient, maybe, ""})
		rows = append(rows, row{text, alert("remote error", "tls: "+text), transient, maybe, ""})
	}
	for _, text := range []string{"handshake failure", "bad certificate", "expired certificate",
		"unknown certificate authority", "protocol version not supported", "certificate required",
		"no application protocol", "access denied", "unrecognized name"} {
		rows = append(rows, row{text, alert("remote error", "tls: "+text), permanent, maybe, ""})
	}
	check(t, rows)
}

// TestRecurs are failures of net/http that happen again for the same request, and TestPasses are
// system errors that pass.
func TestRecurs(t *testing.T) {
	var rows []row
	for _, text := range []string{
		"http: ContentLength=63 with Body length 0",
		"http: ContentLength=63 with Body length 70",
		"net/http: HTTP/1.x transport connection broken: http: ContentLength=63 with Body length 0",
		"http2: request body larger than specified content length",
		"net/http: server response headers exceeded 1048576 bytes; aborted",
		"net/http: HTTP/1.x transport connection broken: net/http: server response headers " +
			"exceeded 1048576 bytes; aborted",
		"http2: response header list larger than advertised limit",
		"http: invalid Read on closed Body",
		"bufio.Scanner: token too long",
	} {
		rows = append(rows, row{text, get(errors.New(text)), permanent, maybe, ""})
	}
	for _, text := range []string{"malformed chunked encoding", "invalid byte in chunk length",
		"http: unexpected EOF reading trailer", "tls: oversized record received with length 30000",
		"net/http: HTTP/1.x transport connection broken: EOF"} {
		rows = append(rows, row{text, get(errors.New(text)), transient, maybe, ""})
	}
	broken := "net/http: HTTP/1.x transport connection broken: %w"
	rows = append(rows,
		row{"wrapped", get(fmt.Errorf(broken, errors.New("http: ContentLength=6 with Body length 0"))),
			permanent, maybe, ""},
		row{"wrapped, passing", get(fmt.Errorf(broken, io.ErrUnexpectedEOF)), transient, maybe, ""})
	check(t, rows)
}

func TestPasses(t *testing.T) {
	start := func(e syscall.Errno) error { return &os.PathError{Op: "fork/exec", Path: "x", Err: e} }
	check(t, []row{
		{"text busy", start(syscall.ETXTBSY), transient, maybe, ""},
		{"no process", start(syscall.EAGAIN), transient, maybe, ""},
		{"no process, of a program", &exec.Error{Name: "x", Err: syscall.EAGAIN}, transient, maybe, ""},
		{"no memory", start(syscall.ENOMEM), transient, maybe, ""},
		{"deadlock", syscall.EDEADLK, transient, maybe, ""},
		{"stale handle", &os.PathError{Op: "read", Err: syscall.ESTALE}, transient, maybe, ""},
		{"no permission", start(syscall.EACCES), permanent, maybe, ""},
	})
}

// TestContentLength is the error as net/http makes it. After the failed write it closes the
// connection, and its read of that connection fails as well. It returns whichever of the two
// errors comes first, so the read waits here.
func TestContentLength(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	req, err := http.NewRequest(http.MethodPut, s.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Body, req.ContentLength = io.NopCloser(&empty{}), 63
	ended := make(chan struct{})
	defer close(ended)
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return lateConn{conn, ended}, err
	}
	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{DialContext: dial},
	}
	resp, err := client.Do(req)
	if err == nil {
		resp.Body.Close()
		t.Fatal("got no error")
	}
	if f := fault.Of(err); f.Kind != permanent || f.Sent != maybe {
		t.Errorf("Of(%v) = %v %v, want permanent maybe_done", err, f.Kind, f.Sent)
	}
}

// A lateConn returns the error of a read when its channel is closed.
type lateConn struct {
	net.Conn
	until <-chan struct{}
}

func (c lateConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		<-c.until
	}
	return n, err
}

type empty struct{}

func (*empty) Read([]byte) (int, error) { return 0, io.EOF }
