package fault

import (
	"reflect"
	"strings"
)

var (
	// What a text may mean. Only misuse and unsent prove that nothing was sent, because both come from
	// checks before the connection is used.
	cut        = finding{rank: fact, kind: Transient, flags: connection}
	unsent     = finding{rank: fact, kind: Transient, sent: NotSent, flags: connection}
	overloaded = finding{rank: fact, kind: Overloaded}
	garbled    = finding{rank: fact, kind: Transient}
	permanent  = finding{rank: fact, kind: Permanent}
	misuse     = finding{rank: fact, kind: Permanent, sent: NotSent}
	answer     = finding{rank: fact, kind: None, sent: NotDone}
)

// phrases are the texts of errors without their own type. Some could be compared only by importing
// their package, and some are not exported at all, so the text is all there is. A star stands for
// any text. The first match decides.
var phrases = compiled([]meaning{
	// Packages context, io, net, os. The text decides only for errors that are not the sentinel
	// itself, such as one that crossed a process boundary as a string.
	{"context canceled", finding{rank: fact, kind: Canceled}},
	{"EOF", cut},
	{"unexpected EOF", cut},
	{"use of closed network connection", cut},
	{"io: read/write on closed pipe", cut},
	// The writer is at fault and the next attempt may end alike, so this decides nothing.
	{"short write", finding{rank: hint, kind: Unknown}},
	{"file does not exist", permanent},
	{"permission denied", permanent},
	{"executable file not found in *", permanent},

	// Package database/sql, and drivers. database/sql retries ErrBadConn itself, up to twice. An error
	// that arrives here has failed on several connections already.
	{"driver: bad connection", cut}, // drivers return it for statements that were carried out, too
	{"invalid connection", cut},     // go-sql-driver/mysql: dropped in the middle
	{"sql: no rows in result set", answer},
	{"no rows in result set", answer},
	{"sql: transaction has already been committed or rolled back", misuse},
	{"sql: connection is already closed", misuse},
	{"sql: database is closed", misuse},

	// Package net/http, as a client. A misuse is the same on every attempt: the request or the address
	// has to change.
	{"http: server gave HTTP response to HTTPS client", misuse},
	{"http: no Host in request URL", misuse},
	{"http: nil Request*", misuse},
	{"http: Request.*", misuse},
	{"http: invalid Host header", misuse},
	{"http: server closed idle connection", cut},
	{"net/http: invalid *", misuse},
	{"net/http: can't write control character*", misuse},
	{"net/http: nil Context", misuse},
	{"http: ContentLength=* with Body length *", permanent},
	{"http: invalid Read on closed Body", permanent},
	{"http: too many 1xx informational responses", permanent},
	{"http: suspiciously long trailer after chunked body", permanent},
	{"http2: request body larger than specified content length", permanent},
	{"http2: response header list larger than advertised limit", permanent},
	{"net/http: too many 1xx informational responses", permanent},
	{"net/http: server response headers exceeded *", permanent},
	{"net/http: HTTP/1.x transport connection broken: http: ContentLength=*", permanent},
	{"net/http: HTTP/1.x transport connection broken: *response headers exceeded *", permanent},
	{"net/http: HTTP/1.x transport connection broken*", cut},
	{"net/http: cannot rewind body after connection loss", cut},
	{"net/http: request canceled while waiting for connection",
		finding{rank: fact, kind: Canceled, sent: NotSent}},
	{"net/http: request canceled", finding{rank: fact, kind: Canceled}},
	{"unsupported protocol scheme*", misuse},
	{"stopped after * redirects", permanent},
	{`malformed HTTP response "\x15\x03*`, misuse},    // a TLS alert: https is spoken there
	{`malformed HTTP response "\x00\x00*`, permanent}, // an HTTP/2 frame
	// A response cut off or mixed up by a proxy. The next connection may be clean, but the server may
	// have acted on the request.
	{"malformed HTTP *", garbled},
	{"malformed MIME header*", garbled}, // a header cut short
	{"malformed chunked encoding", garbled},
	{"invalid byte in chunk length", garbled},
	{"http chunk length too large", garbled},
	{"empty hex number for chunk length", garbled},
	{"chunked encoding contains too much non-data", garbled},
	{"chunked line ends with bare LF", garbled},
	{"invalid CR in chunked line", garbled},
	{"http: unexpected EOF reading trailer", cut},
	{"bufio.Scanner: token too long", permanent},

	// Its HTTP/2, whose types are not exported. net/http retries a refused stream itself where that is
	// safe, so what arrives here proves nothing.
	{"http2: client conn*", cut},
	{"http2: *GOAWAY*ENHANCE_YOUR_CALM*", overloaded},
	{"http2: Transport received *GOAWAY*", cut},
	{"http2: server sent GOAWAY*", cut},
	{"http2: Transport: cannot retry err*", cut},
	{"http2: unsupported scheme", misuse},

	// Packages crypto/tls and crypto/x509. A certificate that fails stays so. A damaged record is an
	// accident of the connection.
	{"tls: failed to verify certificate*", misuse},
	{"tls: first record does not look like a TLS handshake", misuse},
	{"tls: oversized record received *", garbled},
	{"tls: received record with version *", garbled},
	{"tls: received unexpected handshake message *", garbled},
	{"tls: bad record MAC", garbled},
	{"tls: unexpected message", garbled},
	{"local error: tls: bad record MAC", garbled},
	{"x509: *", misuse},
})

// meaning is what a text that fits the pattern means.
type meaning struct {
	pattern string
	finding
}

// phrase is a meaning with its pattern cut at the first star. Most phrases have no star, and then a
// comparison is enough.
type phrase struct {
	start, rest string
	star        bool
	finding
}

// compiled groups phrases by their first two bytes. Every plain error is looked up, and most match
// nothing; with these groups most of them are compared with no phrase at all.
func compiled(all []meaning) (by [256][]phrase) {
	for _, m := range all {
		p := phrase{finding: m.finding}
		p.start, p.rest, p.star = strings.Cut(m.pattern, "*")
		// The detail ends before a quote. What follows a quote differs from error to error, but a Detail
		// is a key in logs and metrics and must have few values.
		start, _, _ := strings.Cut(p.start, `"`)
		p.detail = strings.TrimRight(start, " :.")
		i := bucket(m.pattern)
		by[i] = append(by[i], p)
	}
	return by
}

// bucket is the group of a text, from its first two bytes. Collisions only cost a comparison.
func bucket(text string) byte { return text[0]*31 + text[1] }

// readText reads the text of errors that wrap nothing and whose type has no meaning. The text that
// fmt.Errorf adds around a cause is written for people and is not read.
func readText(t reflect.Type) reader {
	b := base(t)
	// In internal/poll, net/http and net/textproto even named types are recognised by text only.
	plain := b.Name() == "errorString" || b.Name() == "fundamental" // of errors, of pkg/errors
	if !plain && b.PkgPath() != "internal/poll" && b.PkgPath() != "net/http" &&
		b.PkgPath() != "net/textproto" {
		return nil
	}
	return func(err error) finding {
		if p := phraseIn(err.Error()); p != nil {
			return p.finding
		}
		return finding{}
	}
}

// phraseIn returns the phrase that matches text, or nil.
func phraseIn(text string) *phrase {
	if len(text) < 2 {
		return nil
	}
	candidates := phrases[bucket(text)]
	for i := range candidates {
		p := &candidates[i]
		if after, ok := strings.CutPrefix(text, p.start); ok && p.goesOn(after) {
			return p
		}
	}
	return nil
}

// goesOn reports whether text, which follows the start of the pattern, matches the rest of the
// pattern. Each part between two stars is matched at the first place where it occurs. That is never
// wrong, because a later place would only leave less text for the following parts.
func (p *phrase) goesOn(text string) bool {
	if !p.star {
		return text == ""
	}
	rest := p.rest
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(text, part)
		}
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text, rest = after, more
	}
}
