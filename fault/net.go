package fault

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
)

// Package net is recognised by the names of its types and fields: importing it would add 115 kB to
// a small program, and tie it to the C library where cgo is on.

// readNet reads what surrounds a system error: the operation that failed, or the name lookup.
//
// Package net is recognised by the names of its types and fields. Importing it would add 115 kB to
// a small program, and tie it to the C library where cgo is on.
func readNet(t reflect.Type) reader {
	switch {
	case called(t, "net", "OpError"):
		return readOp(fieldOf(t, "Op", isText), fieldOf(t, "Err", isText))
	case called(t, "net", "DNSError"):
		return readDNS(t)
	case called(t, "net/url", "Error"):
		return readURL(fieldOf(t, "Op", isText))
	}
	return nil
}

// readOp reads the operation. The finding is weak: a system error inside is more specific.
func readOp(op, cause field) reader {
	return func(err error) finding {
		f := finding{rank: weak, kind: Transient, detail: op.text(err)}
		switch f.detail {
		// There was no connection yet, so nothing inside this error was sent.
		case "dial", "proxyconnect", "socks connect":
			f.reach, f.flags = neverSent, connection
		// There was a connection, so the server may have acted, even if the failure is local.
		case "read", "write":
			f.reach = underWay
		case "remote error", "local error":
			// An alert of TLS, which package tls wraps like an operation.
			alert, _ := cause.of(err).Interface().(error)
			return tlsAlert(alert)
		// Another operation, such as "readfrom", which sends a file. Nothing shows that there was no
		// connection yet.
		default:
			f.rank, f.kind, f.reach = hint, Unknown, underWay
		}
		return f
	}
}

// readDNS reads a failed lookup. A name that is not found is permanent, because resolvers mark
// failures that may pass as temporary.
func readDNS(t reflect.Type) reader {
	notFound, text := fieldOf(t, "IsNotFound", isBool), fieldOf(t, "Err", isText)
	slow, passing := fieldOf(t, "IsTimeout", isBool), fieldOf(t, "IsTemporary", isBool)
	return func(err error) finding {
		f := finding{rank: hint, kind: Unknown, sent: NotSent, reach: neverSent}
		f.detail = "dns: " + text.text(err)
		switch {
		// The name server did not answer, and may answer the next time.
		case slow.of(err).Bool():
			f.rank, f.kind, f.flags = fact, Transient, timeout|connection
		case passing.of(err).Bool():
			f.rank, f.kind, f.flags = fact, Transient, connection
		case notFound.of(err).Bool():
			f.rank, f.kind, f.detail = fact, Permanent, "no such host"
		}
		return f
	}
}

// readURL reads the error that http.Client wraps around every failure. The client follows redirects
// without a trace in the error. So a failed dial may belong to the second request, after the first
// was carried out. This matters only for methods that change something.
func readURL(op field) reader {
	return func(err error) finding {
		switch op.text(err) {
		case "parse":
			return finding{rank: fact, kind: Permanent, sent: NotSent, detail: "invalid url"}
		case "Get", "Head", "Options", "Trace":
			return finding{}
		}
		return finding{reach: redirected}
	}
}

// readSyscall reads which system call failed. For calls other than these four, a connection may
// have existed.
func readSyscall(t reflect.Type) reader {
	if !is[*os.SyscallError](t) {
		return nil
	}
	return func(err error) finding {
		switch err.(*os.SyscallError).Syscall {
		case "socket", "bind", "connect", "connectex":
			return finding{}
		}
		return finding{reach: underWay}
	}
}

// readTimeout calls an error's Timeout method. It does not call Temporary, because the error of an
// expired context deadline claims to be temporary.
func readTimeout(t reflect.Type) reader {
	if !has[interface{ Timeout() bool }](t) || isErrno(t) {
		return nil
	}
	// The cause of an error that wraps another is found further inside, so its own text proves
	// nothing.
	leaf := !has[interface{ Unwrap() error }](t)
	return func(err error) finding {
		if !err.(interface{ Timeout() bool }).Timeout() {
			return finding{}
		}
		f := finding{rank: weak, kind: Transient, flags: timeout, detail: "timeout"}
		if leaf && beforeSending(err.Error()) {
			f.sent, f.flags = NotSent, timeout|local
		}
		return f
	}
}

// beforeSending matches the timeouts of net/http whose cause is only in their text.
func beforeSending(text string) bool {
	return strings.HasPrefix(text, "dial ") ||
		strings.HasPrefix(text, "net/http: request canceled while waiting for connection") ||
		strings.HasPrefix(text, "net/http: TLS handshake timeout")
}

// readIs calls an error's Is method with the sentinels below. Such an error may match a sentinel
// that it does not wrap, so no other reader would find it.
func readIs(t reflect.Type) reader {
	if !has[interface{ Is(error) bool }](t) || isErrno(t) {
		return nil
	}
	return func(err error) finding {
		e := err.(interface{ Is(error) bool })
		switch {
		case e.Is(context.Canceled):
			return finding{rank: fact, kind: Canceled, detail: "canceled"}
		case e.Is(context.DeadlineExceeded), e.Is(os.ErrDeadlineExceeded):
			return finding{rank: weak, kind: Transient, flags: timeout, detail: "timeout"}
		case e.Is(fs.ErrNotExist), e.Is(fs.ErrPermission), e.Is(errors.ErrUnsupported):
			return finding{rank: fact, kind: Permanent, detail: title(reflect.TypeOf(err))}
		}
		return finding{}
	}
}

// readCanceled reads a method of the AWS SDKs' errors. Their cause may still turn out to be a
// timeout, so the finding is weak: the cause decides if it is recognised.
func readCanceled(t reflect.Type) reader {
	if !has[interface{ CanceledError() bool }](t) {
		return nil
	}
	return func(err error) finding {
		if !err.(interface{ CanceledError() bool }).CanceledError() {
			return finding{}
		}
		return finding{rank: weak, kind: Canceled, detail: "canceled"}
	}
}
