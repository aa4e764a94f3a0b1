package fault_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/mark"
	"github.com/rebound-go/rebound/internal/retryclass"
)

// row is one error and its classification. Every row is also tested with the error wrapped.
type row struct {
	name   string
	err    error
	kind   fault.Kind
	sent   fault.Sent
	detail string // checked unless empty
}

func check(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		for i, err := range []error{
			r.err,
			fmt.Errorf("get user 7: %w", r.err),
			fmt.Errorf("%w in %w", errors.New("x"), fmt.Errorf("y: %w", r.err)),
			errors.Join(r.err, nil, fmt.Errorf("again: %w", r.err)),
			errors.Join(errors.New("x"), r.err),
		} {
			sent := r.sent
			if i == 4 {
				sent = fault.MaybeDone // x may have been carried out
			}
			f := fault.Of(err)
			if f.Kind != r.kind || f.Sent != sent || r.detail != "" && f.Detail != r.detail {
				t.Errorf("%s: Of(%T %v) = %v %v %q, want %v %v %q", r.name, err, err,
					f.Kind, f.Sent, f.Detail, r.kind, sent, r.detail)
			}
			if !reflect.DeepEqual(f.Err, err) {
				t.Errorf("%s: Err = %v, want the error classified, %v", r.name, f.Err, err)
			}
		}
	}
}

func dial(err error) error  { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
func read(err error) error  { return &net.OpError{Op: "read", Net: "tcp", Err: err} }
func write(err error) error { return &net.OpError{Op: "write", Net: "tcp", Err: err} }
func get(err error) error   { return &url.Error{Op: "Get", URL: "https://example.test", Err: err} }

func sys(call string, e syscall.Errno) error { return os.NewSyscallError(call, e) }

func TestOfNil(t *testing.T) {
	if f := fault.Of(nil); f != (fault.Fault{Kind: fault.None}) {
		t.Errorf("Of(nil) = %+v, want none", f)
	}
}

func TestOfUnknown(t *testing.T) {
	check(t, []row{
		{"plain", errors.New("x"), fault.Unknown, fault.MaybeDone, ""},
		{"empty", errors.New(""), fault.Unknown, fault.MaybeDone, ""},
		{"not ASCII", errors.New("öl"), fault.Unknown, fault.MaybeDone, ""},
		{"begins like a phrase", errors.New("EOFs"), fault.Unknown, fault.MaybeDone, ""},
		{"own type", given2{}, fault.Unknown, fault.MaybeDone, ""},
	})
}

type given2 struct{}

func (given2) Error() string { return "given2" }

// TestOfOutermost: of several known errors in a tree, the outermost decides, and of siblings the
// first. One branch does not affect another.
func TestOfOutermost(t *testing.T) {
	for _, r := range []row{
		{"first of two", errors.Join(read(sys("read", syscall.ECONNRESET)), io.EOF),
			fault.Transient, fault.MaybeDone, syscall.ECONNRESET.Error()},
		{"a dial beside it says nothing of a reset", errors.Join(
			read(sys("read", syscall.ECONNRESET)), dial(sys("connect", syscall.ECONNREFUSED))),
			fault.Transient, fault.MaybeDone, syscall.ECONNRESET.Error()},
		{"a reset beside a dial was sent", errors.Join(
			dial(sys("connect", syscall.ECONNREFUSED)), read(sys("read", syscall.ECONNRESET))),
			fault.Transient, fault.MaybeDone, syscall.ECONNREFUSED.Error()},
		{"a timeout beside a dial", errors.Join(
			read(os.ErrDeadlineExceeded), dial(os.ErrDeadlineExceeded)),
			fault.Transient, fault.MaybeDone, "timeout"},
		{"a connection that stood, and was dialed again", read(dial(syscall.ECONNREFUSED)),
			fault.Transient, fault.MaybeDone, syscall.ECONNREFUSED.Error()},
		{"a timeout, and then trouble with closing", errors.Join(context.DeadlineExceeded,
			fs.ErrNotExist), fault.Transient, fault.MaybeDone, "timeout"},
		{"a timeout of which the cause is known", timeoutOf{errors.Join(errors.New("x"),
			fs.ErrNotExist)}, fault.Permanent, fault.MaybeDone, "file does not exist"},
		{"a status outside the error of reading its body", sdkError{StatusCode: 503,
			err: io.ErrUnexpectedEOF}, fault.Overloaded, fault.MaybeDone, "status 503"},
		{"canceled name lookup", dial(&net.DNSError{Err: "canceled", UnwrapErr: context.Canceled}),
			fault.Canceled, fault.NotSent, "context canceled"},
	} {
		f := fault.Of(r.err)
		if f.Kind != r.kind || f.Sent != r.sent || f.Detail != r.detail {
			t.Errorf("%s: Of(%v) = %v %v %q, want %v %v %q", r.name, r.err,
				f.Kind, f.Sent, f.Detail, r.kind, r.sent, r.detail)
		}
	}
}

// sdkError is like the errors of most SDKs for a status.
type sdkError struct {
	StatusCode int
	err        error
}

func (e sdkError) Error() string { return fmt.Sprint("status ", e.StatusCode) }
func (e sdkError) Unwrap() error { return e.err }

type timeoutOf struct{ err error }

func (e timeoutOf) Error() string { return "timeout" }
func (e timeoutOf) Timeout() bool { return true }
func (e timeoutOf) Unwrap() error { return e.err }

func TestOfAllocatesNothing(t *testing.T) {
	for _, e := range benchErrors {
		if n := testing.AllocsPerRun(100, func() { sink = fault.Of(e.err) }); n != 0 {
			t.Errorf("Of(%s) allocates %v times, want 0", e.name, n)
		}
	}
}

// broken is an error all of whose methods panic.
type broken struct{}

func (*broken) Error() string             { panic("Error") }
func (*broken) Unwrap() error             { panic("Unwrap") }
func (*broken) Is(error) bool             { panic("Is") }
func (*broken) Timeout() bool             { panic("Timeout") }
func (*broken) Code() int                 { panic("Code") }
func (*broken) ErrorCode() string         { panic("ErrorCode") }
func (*broken) SQLState() string          { panic("SQLState") }
func (*broken) StatusCode() int           { panic("StatusCode") }
func (*broken) GRPCStatus() *brokenStatus { panic("GRPCStatus") }
func (*brokenStatus) Code() uint32        { panic("Code") }

type brokenStatus struct{}

type brokenFault struct{ error }

func (brokenFault) DescribeFault() fault.Fault { panic("DescribeFault") }

// loop is an error that wraps itself, twice.
type loop struct{ wide bool }

func (l *loop) Error() string { return "loop" }
func (l *loop) Unwrap() []error {
	if l.wide {
		return []error{l, nil, l}
	}
	return []error{l}
}

type ring struct{ next error }

func (r *ring) Error() string { return strings.Repeat("r", 1) }
func (r *ring) Unwrap() error { return r.next }

func TestOfNeverPanics(t *testing.T) {
	circle := &ring{}
	circle.next = fmt.Errorf("round: %w", circle)
	for _, err := range []error{
		(*broken)(nil), &broken{}, (*net.OpError)(nil), (*url.Error)(nil), (*net.DNSError)(nil),
		(*os.PathError)(nil), &net.OpError{Op: "dial"}, &url.Error{}, &os.PathError{},
		(*loop)(nil), &loop{}, &loop{wide: true}, circle, (*h2StreamError)(nil), (*awsError)(nil),
		brokenFault{errors.New("x")}, (*given)(nil), fmt.Errorf("none: %w", nil),
		fmt.Errorf("nil: %w", (*broken)(nil)), new(multi),
	} {
		f := fault.Of(err)
		if f.Kind == fault.None || f.Err != err {
			t.Errorf("Of(%T) = %v with error %v, want a failure with the error given",
				err, f.Kind, f.Err)
		}
		mark.On(err)
		mark.Settle(f, err)
		_, _, _ = fault.IsTimeout(err), fault.IsConnection(err), retryclass.IO(fault.Fault{Err: err})
	}
}

type multi []error

func (multi) Error() string     { return "multi" }
func (m multi) Unwrap() []error { return m }

// TestOfReadsAroundDamage: an unreadable error does not hide those beside or behind it.
func TestOfReadsAroundDamage(t *testing.T) {
	for _, err := range []error{
		errors.Join(nil, (*net.OpError)(nil), syscall.ECONNRESET),
		errors.Join(&broken{}, syscall.ECONNRESET),
		multi{nil, (*broken)(nil), fmt.Errorf("x: %w", syscall.ECONNRESET)},
		timeoutOf{&broken{}},
		mark.New(&broken{}, fault.Transient, 0),
	} {
		if f := fault.Of(err); f.Kind != fault.Transient {
			t.Errorf("Of(%T) = %v, want transient", err, f.Kind)
		}
	}
}

// given is an error that describes itself.
type given struct {
	f   fault.Fault
	err error
}

func (g given) Error() string              { return "given" }
func (g given) Unwrap() error              { return g.err }
func (g given) DescribeFault() fault.Fault { return g.f }

// TestOfWeakBesideHint: a timeout outranks an undecided fact, in either order.
func TestOfWeakBesideHint(t *testing.T) {
	check(t, []row{
		{"after a hint", errors.Join(rpc(2), context.DeadlineExceeded), fault.Transient,
			fault.MaybeDone, "timeout"},
		{"before a hint", errors.Join(context.DeadlineExceeded, rpc(2)), fault.Transient,
			fault.MaybeDone, "timeout"},
		{"around a hint", timeoutOf{syscall.ENOTDIR}, fault.Transient, fault.MaybeDone, "timeout"},
		{"beside a fact", errors.Join(fs.ErrNotExist, context.DeadlineExceeded), fault.Permanent,
			fault.MaybeDone, "file does not exist"},
	})
}

// TestOfOwnOpinion: an error's own hint about retries changes no answer and no cancellation.
func TestOfOwnOpinion(t *testing.T) {
	check(t, []row{
		{"an answer, not to be retried", opinion{false, sql.ErrNoRows}, fault.None, fault.NotDone, ""},
		{"an answer, to be retried", opinion{true, sql.ErrNoRows}, fault.None, fault.NotDone, ""},
		{"a cancellation, not to be retried", opinion{false, context.Canceled}, fault.Canceled,
			fault.MaybeDone, ""},
		{"a cancellation, to be retried", opinion{true, context.Canceled}, fault.Canceled,
			fault.MaybeDone, ""},
		{"a reset, not to be retried", opinion{false, syscall.ECONNRESET}, fault.Permanent,
			fault.MaybeDone, ""},
		{"anything, to be retried", opinion{true, errors.New("x")}, fault.Transient, fault.MaybeDone,
			""},
		{"a limit, to be retried", opinion{true, sdkError{StatusCode: 429}}, fault.RateLimited,
			fault.NotDone, ""},
	})
}

// opinion is like the errors of AWS that state whether they may be retried.
type opinion struct {
	retry bool
	err   error
}

func (o opinion) Error() string        { return "opinion" }
func (o opinion) Unwrap() error        { return o.err }
func (o opinion) RetryableError() bool { return o.retry }
