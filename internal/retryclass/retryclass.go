// Package retryclass holds the classes of failures that presets and policy files refer to by name.
// The two share it, so that a name means the same in both.
package retryclass

import (
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/errtree"
)

// Any returns a Policy.RetryIf that accepts failures in one of the classes. It never accepts an
// answer, a permanent failure or a cancellation, whatever the classes say.
func Any(classes ...func(fault.Fault) bool) func(fault.Fault) bool {
	return func(f fault.Fault) bool {
		switch f.Kind {
		case fault.None, fault.Permanent, fault.Canceled:
			return false
		}
		for _, in := range classes {
			if in(f) {
				return true
			}
		}
		return false
	}
}

// Timeout is what [fault.IsTimeout] reports.
func Timeout(f fault.Fault) bool { return fault.IsTimeout(f.Err) }

// Connection is what [fault.IsConnection] reports.
func Connection(f fault.Fault) bool { return fault.IsConnection(f.Err) }

// Server is the class of failures that a server or a custom classifier described as transient, rate
// limited or overloaded. It does not include I/O errors of the operating system.
func Server(f fault.Fault) bool {
	switch f.Kind {
	case fault.Transient, fault.RateLimited, fault.Overloaded:
		// An I/O error counts here only if [fault.Of] returns another kind for it, because a custom
		// classifier has then chosen the kind.
		return !IO(f) || fault.Of(f.Err).Kind != f.Kind
	}
	return false
}

// Kind is the class of all failures of kind k.
func Kind(k fault.Kind) func(fault.Fault) bool {
	return func(f fault.Fault) bool { return f.Kind == k }
}

// IO is the class of I/O errors of the operating system: of a file, a network or a pipe. Errors
// that [fault.Of] returns as Permanent or Canceled are not in it, such as a file that does not
// exist.
func IO(f fault.Fault) bool {
	found := errtree.Find(f.Err, isIO)
	if found == nil {
		return false
	}
	k := fault.Of(found).Kind
	return k != fault.Permanent && k != fault.Canceled
}

func isIO(err error) bool {
	switch err.(type) {
	case *fs.PathError, *os.LinkError, *os.SyscallError, *net.OpError, *net.DNSError:
		return true
	}
	switch err {
	case io.EOF, io.ErrUnexpectedEOF, io.ErrShortWrite, io.ErrClosedPipe:
		return true
	}
	return reflect.TypeOf(err).String() == "syscall.Errno" // a type that Plan 9 lacks
}
