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

// connectNames are the same codes as Connect writes them, at the beginning of its errors' text.
var connectNames = [...]string{
	"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found",
	"already_exists", "permission_denied", "resource_exhausted", "failed_precondition", "aborted",
	"out_of_range", "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated",
}

const (
	grpcCanceled          = 1
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcResourceExhausted = 8
	grpcAborted           = 10
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcDataLoss          = 15
)

// grpcStatus is the meaning of a code with its error's text. A code that only servers send proves
// that the call was rejected. Those that clients make themselves, while sending, while waiting and
// while reading the reply, prove nothing.
func grpcStatus(number int, text func() string) finding {
	// OK is no failure, and other numbers are no codes: the error is of another kind, whose type looks
	// the same.
	if number <= 0 || number >= len(grpcNames) {
		return finding{}
	}
	f := finding{rank: fact, kind: Permanent, sent: NotDone, detail: "grpc " + grpcNames[number]}
	switch number {
	// Either side may cancel, at any time.
	case grpcCanceled:
		f.kind, f.sent = Canceled, MaybeDone
	// The client's deadline as a rule; the server may go on with the call.
	case grpcDeadlineExceeded:
		f.kind, f.sent, f.flags = Transient, MaybeDone, timeout
	// A server that limits rates, a client whose message is too large, or a reply that is.
	case grpcResourceExhausted:
		f.kind, f.sent = RateLimited, MaybeDone
		if isTooLarge(text()) {
			f.kind = Permanent
		}
	case grpcDataLoss:
		f.sent = MaybeDone
	// A lost race between transactions: the specification asks for a retry at a higher level, which is
	// here.
	case grpcAborted:
		f.kind = Transient
	// The one code that the specification calls worth a retry. Clients make it themselves of broken
	// connections, so it proves nothing.
	case grpcUnavailable:
		f.kind, f.sent, f.flags = Transient, MaybeDone, connection
	// Any server that panics or returns a plain error sends one of these; so do clients whose stream
	// was reset, which passes. What a client's codec or compressor cannot do does not.
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

// readGRPC reads the status of google.golang.org/grpc errors. They are known by a method that is
// part of the API: importing grpc would make a module of this package.
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
// the words of gRPC's and Connect's implementations. The message may be the reply, of a call that
// was carried out.
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

// readConnect reads errors of connectrpc.com/connect: the same codes, and HTTP headers. Other
// errors have a method called Code, too; these have more, and begin with the code's name.
func readConnect(t reflect.Type) reader {
	for _, name := range [...]string{"Code", "Message", "Details", "Meta"} {
		if m, ok := t.MethodByName(name); !ok || m.Type.NumIn() != 1 || m.Type.NumOut() != 1 {
			return nil
		}
	}
	if code, _ := t.MethodByName("Code"); code.Type.Out(0).Kind() != reflect.Uint32 {
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
		// Connect has the same details as gRPC, wrapped once more, and the headers of an HTTP response
		// besides. Only servers add these: an error without them was made by the client, perhaps of the
		// answer to a call that was carried out.
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

// connectDetails returns the messages in a slice of Connect's details. Each decodes itself by its
// method Value, which needs the message's type to be linked in.
func connectDetails(details reflect.Value) (messages []any) {
	for i := 0; details.Kind() == reflect.Slice && i < details.Len(); i++ {
		value := details.Index(i).MethodByName("Value")
		if !value.IsValid() || value.Type().NumIn() != 0 || value.Type().NumOut() != 2 {
			continue
		}
		// A detail whose type the program does not link cannot be decoded, and is passed over.
		if out := value.Call(nil); out[1].IsNil() {
			messages = append(messages, out[0].Interface())
		}
	}
	return messages
}
