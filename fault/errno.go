//go:build !plan9

package fault

import (
	"io/fs"
	"reflect"
	"syscall"
)

// isErrno is a separate function because Plan 9 has no such numbers: its system errors are texts.
func isErrno(t reflect.Type) bool { return is[syscall.Errno](t) }

// readErrno reads a system error number. The number's text becomes the detail, because numbers
// differ between systems.
func readErrno(t reflect.Type) reader {
	if !isErrno(t) {
		return nil
	}
	return func(err error) finding {
		e := err.(syscall.Errno)
		f := errno(e)
		f.detail = e.Error()
		return f
	}
}

// errno is the meaning of a number on the system where the program runs. It has the rank of a fact,
// because the kernel itself has set it.
func errno(e syscall.Errno) finding {
	switch e {
	// No connection was made, so nothing was sent. The exception is an open connection, for which a
	// router may report the same numbers; hence the flag local.
	case syscall.ECONNREFUSED, wsaRefused,
		syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN,
		wsaHostUnreachable, wsaNetUnreachable, wsaHostDown, wsaNetDown,
		syscall.EADDRNOTAVAIL, wsaNoAddress:
		return finding{rank: fact, kind: Transient, sent: NotSent, flags: connection | local}
	// A connection broke. The server may have acted on what it received before that.
	case syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ENETRESET,
		syscall.ENOTCONN, wsaReset, wsaAborted, wsaNetReset, wsaNotConnected, wsaShutdown:
		return finding{rank: fact, kind: Transient, flags: connection}
	// A dial or an open connection timed out. Both have the same number, so it proves nothing.
	case syscall.ETIMEDOUT, wsaTimedOut:
		return finding{rank: fact, kind: Transient, flags: timeout | connection}
	// This machine lacks a resource that may be free again in a moment.
	case syscall.EAGAIN, syscall.EINTR, syscall.EBUSY, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.EMFILE, syscall.ENFILE, syscall.ETXTBSY, syscall.EDEADLK, syscall.ENOLCK,
		syscall.ESTALE, wsaNoBuffers, wsaTooManyFiles:
		return finding{rank: fact, kind: Transient}
	}
	// Is matches the numbers of each system that mean these. A missing or forbidden file stays so.
	if e.Is(fs.ErrNotExist) || e.Is(fs.ErrPermission) {
		return finding{rank: fact, kind: Permanent}
	}
	// The text of any other number is worth showing, but decides nothing.
	return finding{rank: hint, kind: Unknown}
}

// Windows reports the numbers of its sockets library instead of the names above. No other system
// has numbers as high.
const (
	wsaTooManyFiles    = syscall.Errno(10024)
	wsaNoAddress       = syscall.Errno(10049)
	wsaNetDown         = syscall.Errno(10050)
	wsaNetUnreachable  = syscall.Errno(10051)
	wsaNetReset        = syscall.Errno(10052)
	wsaAborted         = syscall.Errno(10053)
	wsaReset           = syscall.Errno(10054)
	wsaNoBuffers       = syscall.Errno(10055)
	wsaNotConnected    = syscall.Errno(10057)
	wsaShutdown        = syscall.Errno(10058)
	wsaTimedOut        = syscall.Errno(10060)
	wsaRefused         = syscall.Errno(10061)
	wsaHostDown        = syscall.Errno(10064)
	wsaHostUnreachable = syscall.Errno(10065)
)
