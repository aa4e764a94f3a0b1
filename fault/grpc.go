package fault

import (
	"reflect"
	"strings"
	"time"
)

// grpcNames are the canonical status codes in their numeric order. Connect uses the same numbers.
var grpcNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
	"OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// connectNames are the same codes as Connect writes them at the start of its errors' text.
var connectNames = [...]string{
	"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found",
	"already_exists", "permission_denied", "resource_exhausted", "failed_precondition", "aborted",
	"out_of_range", "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated",
}

const (
	// The codes with special meanings. All others mean a permanent rejection.
	grpcCanceled          = 1
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcResourceExhausted = 8
	grpcAborted           = 10
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcDataLoss          = 15
)

// grpcStatus is the meaning of a status code with its error's text. A code that only servers send
// proves that the call was rejected. Codes that clients also make themselves, for failures while
// sending, waiting and reading the reply, prove nothing.
func grpcStatus(number int, text func() string) finding {
	// OK is not a failure, and higher numbers are not gRPC codes: then the error belongs to another
	// library whose type has the same shape.
	if number <= 0 || number >= len(grpcNames) {
		return finding{}
	}
	f := finding{rank: fact, kind: Permanent, sent: NotDone, detail: "grpc " + grpcNames[number]}
	switch number {
	// Either side may cancel, at any time.
	case grpcCanceled:
		f.kind, f.sent = Canceled, MaybeDone
	// Usually the client's own deadline. The server may continue the call.
	case grpcDeadlineExceeded:
		f.kind, f.sent, f.flags = Transient, MaybeDone, timeout
	// A server's rate limit, or a message that is too large in either direction.
	case grpcResourceExhausted:
		f.kind, f.sent = RateLimited, MaybeDone
		if isTooLarge(text()) {
			f.kind = Permanent
		}
	// Data was lost, perhaps after the server had acted.
	case grpcDataLoss:
		f.sent = MaybeDone
	// A transaction lost a race. The specification asks for a retry at a higher level, which is here.
	case grpcAborted:
		f.kind = Transient
	// The one code that the specification calls worth a retry. Clients also make it for connections
	// that broke under a call, so it proves nothing.
	case grpcUnavailable:
		f.kind, f.sent, f.flags = Transient, MaybeDone, connection
	// A server that panics or returns a plain error sends one of these. Clients make them too, for a
	// stream that was reset and for a message that the codec cannot write or read. Only the first of
	// these passes.
	case grpcUnknown, grpcInternal:
		f.rank, f.kind, f.sent = hint, Unknown, MaybeDone
		switch s := text(); {
		case strings.Contains(s, "RST_STREAM"), strings.Contains(s, "stream terminated"):
			f.rank, f.kind = fact, Transient
		case strings.Contains(s, "grpc: error while marshaling"),
			strings.Contains(s, "grpc: failed to unmarshal"),
			strings.Contains(s, "ompressor is not installed for"),
			strings.Contains(s, "no codec registered for"):
			f.rank, f.kind = fact, Permanent
		}
	}
	return f
}

// readGRPC reads the status of google.golang.org/grpc errors through their method GRPCStatus, which
// is part of the API. Importing grpc would make this package a module with dependencies.
func readGRPC(t reflect.Type) reader {
	m, ok := t.MethodByName("GRPCStatus")
	if !ok || m.Type.NumIn() != 1 || m.Type.NumOut() != 1 {
		return nil
	}
	// The result may be any type called Status; only its method matters.
	if _, ok := m.Type.Out(0).MethodByName("Code"); !ok {
		return nil
	}
	return func(err error) finding {
		s := reflect.ValueOf(err).MethodByName("GRPCStatus").Call(nil)[0]
		// A nil status means OK, which an error should not have.
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

// isTooLarge reports whether the text of a RESOURCE_EXHAUSTED is about the size of one message, in
// the words of the gRPC and Connect implementations. If the reply is too large, the call was
// carried out.
func isTooLarge(text string) bool {
	text = strings.ToLower(text)
	for _, words := range [...]string{
		"larger than max", "larger than configured max", "exceeds maximum size",
		"exceeds the maximum", "exceeds the configured", "message size exceeds",
		"message too large", "message with a size larger than", "message is too large",
	} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// readConnect reads errors of connectrpc.com/connect, which have the same codes and also HTTP
// headers. Other libraries' errors have a method called Code too. Connect's are recognised by all
// four methods, and by a text that begins with the code's name.
func readConnect(t reflect.Type) reader {
	// Each name is a constant. For a name that it cannot see, the linker would keep all exported
	// methods of the whole program.
	code, ok1 := t.MethodByName("Code")
	message, ok2 := t.MethodByName("Message")
	details, ok3 := t.MethodByName("Details")
	meta, ok4 := t.MethodByName("Meta")
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil
	}
	for _, m := range [...]reflect.Method{code, message, details, meta} {
		if m.Type.NumIn() != 1 || m.Type.NumOut() != 1 {
			return nil
		}
	}
	if code.Type.Out(0).Kind() != reflect.Uint32 {
		return nil
	}
	return func(err error) finding {
		v := reflect.ValueOf(err)
		n := number(v.MethodByName("Code").Call(nil)[0])
		// The text is the proof that these are Connect's codes, and not other numbers.
		if n >= len(connectNames) || !strings.HasPrefix(err.Error(), connectNames[n]) {
			return finding{}
		}
		f := grpcStatus(n, err.Error)
		if f.rank == nothing {
			return f
		}
		// Connect has the same details as gRPC, wrapped once more, and the headers of an HTTP response.
		// Only servers add either. An error without both was made by the client, perhaps from the answer
		// to a call that was carried out.
		details := connectDetails(v.MethodByName("Details").Call(nil)[0])
		h := header(v.MethodByName("Meta").Call(nil)[0])
		if len(details) == 0 && len(h) == 0 {
			f.sent = MaybeDone
		}
		f = addDetails(f, details)
		if after := delayFor(f.kind, h, time.Now()); after > 0 {
			f = serverWrote(f, true)
			f.after = after
		}
		return f
	}
}

// connectDetails returns the messages in a slice of Connect's details. Each detail decodes itself
// with its method Value, which works only if the program links the message's type.
func connectDetails(details reflect.Value) (messages []any) {
	for i := 0; details.Kind() == reflect.Slice && i < details.Len(); i++ {
		value := details.Index(i).MethodByName("Value")
		if !value.IsValid() || value.Type().NumIn() != 0 || value.Type().NumOut() != 2 {
			continue
		}
		// A detail whose type is not linked cannot be decoded and is skipped.
		if out := value.Call(nil); out[1].IsNil() {
			messages = append(messages, out[0].Interface())
		}
	}
	return messages
}
