package fault

import (
	"reflect"
	"strconv"
	"strings"
)

// HTTP/2 error codes of RFC 9113, section 7, that mean something particular to a client.
const (
	h2Refused         = 7  // the stream was not processed
	h2EnhanceYourCalm = 11 // the client makes too much load
	h2WeakSecurity    = 12
	h2HTTP11Required  = 13
)

// readHTTP2 reads a stream's or a connection's end by the fields that net/http and x/net/http2 give
// such errors; the types of the former are not exported. Many packages have types with such names,
// so the type of a field has to fit as well.
func readHTTP2(t reflect.Type) reader {
	name := base(t).Name()
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

// readReset is nil without the field: then the type only has a similar name.
func readReset(what string, number field) reader {
	if number == nil {
		return nil
	}
	return func(err error) finding { return reset(what, number.number(err)) }
}

// reset is the meaning of an HTTP/2 error code. That a server refuses a stream says that it did
// not begin with it; any other code leaves that open.
func reset(what string, number int) finding {
	f := finding{rank: fact, kind: Transient, flags: connection}
	f.detail = what + strconv.Itoa(number)
	switch number {
	case h2Refused:
		f.sent = NotSent
	// Not RateLimited: RFC 9113 has load in mind here, not a quota.
	case h2EnhanceYourCalm:
		f.kind, f.flags = Overloaded, 0
	// The next connection would be made in the same way.
	case h2WeakSecurity, h2HTTP11Required:
		f.kind, f.flags = Permanent, 0
	}
	return f
}
