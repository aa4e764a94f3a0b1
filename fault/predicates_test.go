package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
	"github.com/rebound-go/rebound/internal/retryclass"
)

func TestPredicates(t *testing.T) {
	type set struct{ timeout, connection, io bool }
	for _, tc := range []struct {
		name string
		err  error
		want set
	}{
		{"nil", nil, set{}},
		{"plain", errors.New("x"), set{}},
		{"deadline", context.DeadlineExceeded, set{timeout: true}},
		{"I/O deadline", os.ErrDeadlineExceeded, set{timeout: true}},
		{"timed out", syscall.ETIMEDOUT, set{true, true, true}},
		{"dial timeout", dial(os.ErrDeadlineExceeded), set{true, true, true}},
		{"gRPC deadline", rpc(4), set{timeout: true}},
		{"status 408", sdkError{StatusCode: 408}, set{timeout: true}},
		{"status 504", sdkError{StatusCode: 504}, set{timeout: true}},
		{"status 503", sdkError{StatusCode: 503}, set{}},
		{"model timeout", aws(408, "ModelTimeoutException"), set{timeout: true}},
		{"canceled", context.Canceled, set{}},
		{"canceled dial", dial(calledOff{}), set{}},

		{"refused", dial(sys("connect", syscall.ECONNREFUSED)), set{connection: true, io: true}},
		{"reset", read(sys("read", syscall.ECONNRESET)), set{connection: true, io: true}},
		{"broken pipe", syscall.EPIPE, set{connection: true, io: true}},
		{"unreachable", syscall.ENETUNREACH, set{connection: true, io: true}},
		{"name server", dial(&net.DNSError{IsTemporary: true}), set{connection: true, io: true}},
		{"no such host", dial(&net.DNSError{IsNotFound: true}), set{}},
		{"EOF", get(io.EOF), set{connection: true, io: true}},
		{"unexpected EOF", io.ErrUnexpectedEOF, set{connection: true, io: true}},
		{"bad connection", errors.New("driver: bad connection"), set{connection: true}},
		{"class 08", pg("08006"), set{connection: true}},
		{"shutdown", pg("57P01"), set{connection: true}},
		{"serialization", pg("40001"), set{}},
		{"unavailable", rpc(14), set{connection: true}},
		{"alert", &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")},
			set{}},
		{"unknown alert", &net.OpError{Op: "remote error", Err: errors.New("x")}, set{io: true}},
		{"garbled", &net.OpError{Op: "local error", Err: errors.New("tls: bad record MAC")},
			set{connection: true, io: true}},

		{"disk full", &os.PathError{Op: "write", Err: syscall.ENOSPC}, set{io: true}},
		{"short write", io.ErrShortWrite, set{io: true}},
		{"absent file", &os.PathError{Op: "open", Err: syscall.ENOENT}, set{}},
		{"forbidden file", &os.PathError{Op: "open", Err: syscall.EACCES}, set{}},
	} {
		for _, err := range []error{tc.err, fmt.Errorf("a: %w", tc.err),
			mark.New(tc.err, fault.Permanent, 0), errors.Join(errors.New("x"), tc.err)} {
			got := set{fault.IsTimeout(err), fault.IsConnection(err), retryclass.IO(fault.Fault{Err: err})}
			if got != tc.want {
				t.Errorf("%s: timeout, connection, io of %T = %v, want %v",
					tc.name, err, got, tc.want)
			}
		}
	}
}
