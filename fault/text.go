package fault

import (
	"reflect"
	"strings"
)

// phrase is the meaning of an error that is nothing but its text.
type phrase struct {
	text  string
	exact bool // text is the whole of it, not its beginning
	f     finding
}

var (
	cut      = finding{rank: fact, kind: Transient, flags: connection | systemIO}
	unsent   = finding{rank: fact, kind: Transient, sent: NotSent, flags: connection}
	hopeless = finding{rank: fact, kind: Permanent}
	misuse   = finding{rank: fact, kind: Permanent, sent: NotSent}
	answer   = finding{rank: fact, kind: None, sent: NotDone}
)

// phrases are errors that have no type of their own. Those of packages that would have to be
// imported to compare them, and those that are not exported at all, can be told in no other way.
var phrases = []phrase{
	{"context canceled", true, finding{rank: fact, kind: Canceled}},
	{"EOF", true, cut},
	{"unexpected EOF", true, cut},
	{"use of closed network connection", true, cut},
	{"io: read/write on closed pipe", true, cut},
	{"short write", true, finding{rank: hint, kind: Unknown, flags: systemIO}},
	{"file does not exist", true, hopeless},
	{"permission denied", true, hopeless},
	{"executable file not found in ", false, hopeless},

	{"driver: bad connection", true, unsent},
	{"invalid connection", true, cut}, // go-sql-driver/mysql: dropped in the middle
	{"sql: no rows in result set", true, answer},
	{"no rows in result set", true, answer},
	{"sql: transaction has already been committed or rolled back", true, misuse},
	{"sql: connection is already closed", true, misuse},
	{"sql: database is closed", true, misuse},

	{"http: server gave HTTP response to HTTPS client", true, misuse},
	{"http: no Host in request URL", true, misuse},
	{"http: nil Request", false, misuse},
	{"http: Request", false, misuse},
	{"http: invalid Host header", true, misuse},
	{"http: server closed idle connection", true, cut},
	{"net/http: invalid ", false, misuse},
	{"net/http: can't write control character", false, misuse},
	{"net/http: nil Context", true, misuse},
	{"net/http: HTTP/1.x transport connection broken", false, cut},
	{"net/http: cannot rewind body after connection loss", true, cut},
	{"net/http: request canceled while waiting for connection", true,
		finding{rank: fact, kind: Canceled, sent: NotSent}},
	{"net/http: request canceled", true, finding{rank: fact, kind: Canceled}},
	{"unsupported protocol scheme", false, misuse},
	{"stopped after ", false, finding{rank: fact, kind: Permanent, sent: NotDone}},
	{`malformed HTTP response "\x15\x03`, false, misuse},   // a TLS alert: https is spoken there
	{`malformed HTTP response "\x00\x00`, false, hopeless}, // an HTTP/2 frame
	{"malformed HTTP ", false, finding{rank: fact, kind: Transient}},

	{"http2: client conn", false, cut},
	{"http2: Transport received ", false, cut}, // GOAWAY
	{"http2: server sent GOAWAY", false, cut},
	{"http2: Transport: cannot retry err", false, cut},
	{"http2: unsupported scheme", true, misuse},

	{"tls: failed to verify certificate", false, misuse},
	{"tls: first record does not look like a TLS handshake", true, misuse},
	{"x509: ", false, misuse},
}

// phrasesBy holds the phrases by their first byte, which almost no other error begins with.
var phrasesBy = func() (by [128][]phrase) {
	for _, p := range phrases {
		by[p.text[0]] = append(by[p.text[0]], p)
	}
	return by
}()

// readText reads errors that wrap nothing and whose type says nothing.
func readText(t reflect.Type) reader {
	b := base(t)
	plain := b.Name() == "errorString" || b.Name() == "fundamental" // of errors, of pkg/errors
	if !plain && b.PkgPath() != "internal/poll" && b.PkgPath() != "net/http" {
		return nil
	}
	return func(err error) finding { return phraseIn(err.Error()) }
}

func phraseIn(text string) finding {
	if text == "" || text[0] >= 128 {
		return finding{}
	}
	for i := range phrasesBy[text[0]] {
		p := &phrasesBy[text[0]][i]
		if !strings.HasPrefix(text, p.text) || p.exact && len(text) != len(p.text) {
			continue
		}
		f := p.f
		f.detail = strings.TrimRight(p.text, " :")
		if strings.Contains(text, "ENHANCE_YOUR_CALM") {
			f.kind, f.flags = Overloaded, 0
		}
		return f
	}
	return finding{}
}
