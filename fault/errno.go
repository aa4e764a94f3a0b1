//go:build !plan9

package fault

import (
	"io/fs"
	"reflect"
	"syscall"
)

func isErrno(t reflect.Type) bool { return is[syscall.Errno](t) }

// readErrno reads a system error number.
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

func errno(e syscall.Errno) finding {
	switch e {
	case syscall.ECONNREFUSED, wsaRefused,
		syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN,
		wsaHostUnreachable, wsaNetUnreachable, wsaHostDown, wsaNetDown,
		syscall.EADDRNOTAVAIL, wsaNoAddress:
		return finding{rank: fact, kind: Transient, sent: NotSent, flags: connection | local}
	case syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ENETRESET,
		syscall.ENOTCONN, wsaReset, wsaAborted, wsaNetReset, wsaNotConnected, wsaShutdown:
		return finding{rank: fact, kind: Transient, flags: connection}
	case syscall.ETIMEDOUT, wsaTimedOut:
		return finding{rank: fact, kind: Transient, flags: timeout | connection}
	case syscall.EAGAIN, syscall.EINTR, syscall.EBUSY, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.EMFILE, syscall.ENFILE, syscall.ETXTBSY, syscall.EDEADLK, syscall.ENOLCK,
		syscall.ESTALE, wsaNoBuffers, wsaTooManyFiles:
		return finding{rank: fact, kind: Transient}
	}
	if e.Is(fs.ErrNotExist) || e.Is(fs.ErrPermission) {
		return finding{rank: fact, kind: Permanent}
	}
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
