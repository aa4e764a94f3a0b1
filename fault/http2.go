package fault

import (
	"reflect"
	"strconv"
	"strings"
)

// The HTTP/2 error codes of RFC 9113, section 7, that have their own meaning for a client. All
// others end a stream or a connection without showing whether the request was processed.
const (
	h2Refused         = 7  // the stream was not processed
	h2EnhanceYourCalm = 11 // the client makes too much load
	h2WeakSecurity    = 12
	h2HTTP11Required  = 13
)

// readHTTP2 reads the end of a stream or a connection. net/http bundles x/net/http2 with unexported
// types, so both are recognised by the names of their types and fields. Other packages have types
// with such names, so the types of the fields must fit as well.
func readHTTP2(t reflect.Type) reader {
	name := base(t).Name()
	// Both packages declare their codes as uint32.
	isCode := func(t reflect.Type) bool { return t.Kind() == reflect.Uint32 }
	switch {
	case strings.HasSuffix(name, "StreamError"):
		if fieldOf(t, "StreamID", isCode) != nil {
			return readReset("http2 stream error ", fieldOf(t, "Code", isCode))
		}
	case strings.HasSuffix(name, "GoAwayError"):
		return readReset("http2 goaway ", fieldOf(t, "ErrCode", isCode))
	case strings.HasSuffix(name, "ConnectionError") && t.Kind() == reflect.Uint32:
		return func(err error) finding {
			return reset("http2 connection error ", int(reflect.ValueOf(err).Uint()))
		}
	}
	return nil
}

// readReset returns nil without the field: then the type merely has a similar name.
func readReset(what string, number field) reader {
	if number == nil {
		return nil
	}
	return func(err error) finding { return reset(what, number.number(err)) }
}

// reset is the meaning of an HTTP/2 error code. REFUSED_STREAM proves that the server did not begin
// with the request (RFC 9113, section 8.7). No other code proves this.
func reset(what string, number int) finding {
	f := finding{rank: fact, kind: Transient, flags: connection}
	f.detail = what + strconv.Itoa(number)
	switch number {
	case h2Refused:
		f.sent = NotSent
	// Overloaded, not RateLimited: RFC 9113 defines it for excessive load, not for a quota.
	case h2EnhanceYourCalm:
		f.kind, f.flags = Overloaded, 0
	// The next connection would be set up in the same way.
	case h2WeakSecurity, h2HTTP11Required:
		f.kind, f.flags = Permanent, 0
	}
	return f
}
