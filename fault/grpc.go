package fault

import (
	"reflect"
	"strings"
	"time"
)

// grpcNames are the canonical status codes in their order, also of Connect.
var grpcNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
	"OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

const (
	grpcCanceled          = 1
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcResourceExhausted = 8
	grpcAborted           = 10
	grpcInternal          = 13
	grpcUnavailable       = 14
)

// grpcStatus is the meaning of a code with its error's text. A code is what the server answered,
// and so says that it did not act, save for those that gRPC itself makes when a call breaks off.
func grpcStatus(number int, text func() string) finding {
	if number <= 0 || number >= len(grpcNames) {
		return finding{}
	}
	f := finding{rank: fact, kind: Permanent, sent: NotDone, detail: "grpc " + grpcNames[number]}
	switch number {
	case grpcCanceled:
		f.kind, f.sent = Canceled, MaybeDone
	case grpcDeadlineExceeded:
		f.kind, f.sent, f.flags = Transient, MaybeDone, timeout
	case grpcResourceExhausted:
		f.kind = RateLimited
	case grpcAborted:
		f.kind = Transient
	case grpcUnavailable:
		f.kind, f.sent, f.flags = Transient, MaybeDone, connection
	case grpcUnknown, grpcInternal:
		f.rank, f.kind, f.sent = hint, Unknown, MaybeDone
		if s := text(); strings.Contains(s, "RST_STREAM") ||
			strings.Contains(s, "stream terminated") {
			f.rank, f.kind = fact, Transient
		}
	}
	return f
}

// readGRPC reads the status of google.golang.org/grpc errors.
func readGRPC(t reflect.Type) reader {
	m, ok := t.MethodByName("GRPCStatus")
	if !ok || m.Type.NumIn() != 1 || m.Type.NumOut() != 1 {
		return nil
	}
	if _, ok := m.Type.Out(0).MethodByName("Code"); !ok {
		return nil
	}
	return func(err error) finding {
		s := reflect.ValueOf(err).MethodByName("GRPCStatus").Call(nil)[0]
		if s.Kind() == reflect.Pointer && s.IsNil() {
			return finding{}
		}
		f := grpcStatus(number(s.MethodByName("Code").Call(nil)[0]), err.Error)
		if d, ok := s.Interface().(interface{ Details() []any }); ok {
			f = addDetails(f, d.Details())
		}
		return f
	}
}

// readConnect reads errors of connectrpc.com/connect: the same codes, and HTTP headers.
func readConnect(t reflect.Type) reader {
	m, ok := t.MethodByName("Code")
	if !ok || m.Type.NumIn() != 1 || m.Type.NumOut() != 1 {
		return nil
	}
	out := m.Type.Out(0)
	if out.Kind() != reflect.Uint32 || out.PkgPath() == "" { // no type of its own
		return nil
	}
	_, hasMeta := t.MethodByName("Meta")
	return func(err error) finding {
		v := reflect.ValueOf(err)
		f := grpcStatus(number(v.MethodByName("Code").Call(nil)[0]), err.Error)
		if !hasMeta || f.rank == nothing {
			return f
		}
		if out := v.MethodByName("Meta").Call(nil); len(out) == 1 {
			f.after = delayFor(f.kind, header(out[0]), time.Now())
		}
		return f
	}
}
