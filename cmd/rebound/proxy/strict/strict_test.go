package strict

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const (
	good  = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	plain = "GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
)

// chunks is a request with a body in chunks.
func chunks(body string) string {
	return "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body
}

func with(fields string) string { return "POST /d HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n\r\n" }

// Request smuggling needs two readings of one request. Sources: RFC 9112 section 11.2, and the
// corpora of CL.TE, TE.CL and TE.TE that are in use.
var ambiguous = map[string]string{
	"CL.TE": with("Content-Length: 6\r\nTransfer-Encoding: chunked") + "0\r\n\r\nG",
	"TE.CL": with("Transfer-Encoding: chunked\r\nContent-Length: 3") +
		"8\r\nSMUGGLED\r\n0\r\n",
	"TE.TE":                  with("Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
	"two chunked":            with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
	"chunked, other":         with("Transfer-Encoding: chunked, identity"),
	"identity":               with("Transfer-Encoding: identity"),
	"gzip, chunked":          with("Transfer-Encoding: gzip, chunked"),
	"xchunked":               with("Transfer-Encoding: xchunked"),
	"two lengths":            with("Content-Length: 5\r\nContent-Length: 6"),
	"two equal lengths":      with("Content-Length: 5\r\nContent-Length: 5"),
	"a list of lengths":      with("Content-Length: 5, 5"),
	"a signed length":        with("Content-Length: +5"),
	"a negative length":      with("Content-Length: -5"),
	"a length in hex":        with("Content-Length: 0x5"),
	"an empty length":        with("Content-Length:"),
	"a huge length":          with("Content-Length: 99999999999999999999"),
	"bare LF in the head":    "GET / HTTP/1.1\nHost: x\r\n\r\n",
	"bare LF behind a field": "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
	"bare LF at the end":     "GET / HTTP/1.1\r\nHost: x\r\n\n",
	"bare CR":                with("A: b\rTransfer-Encoding: chunked"),
	"NUL":                    with("A: b\x00c"),
	"folded":                 with("A: b\r\n c"),
	"folded length":          with("Content-Length:\r\n 5"),
	"folded with a tab":      with("Transfer-Encoding:\r\n\tchunked"),
	"blank before the colon": with("Content-Length : 5"),
	"tab before the colon":   with("Transfer-Encoding\t: chunked"),
	"no colon":               with("Content-Length 5"),
	"no name":                with(": 5"),
	"a blank first":          "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
	"HTTP/2 preface":         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"no version":             "GET /\r\n\r\n",
	"three blanks in 1.0":    "GET / x HTTP/1.0\r\nHost: x\r\n\r\n",
	"chunks in 1.0":          strings.Replace(chunks("0\r\n\r\n"), "1.1", "1.0", 1),
	"three blanks":           "GET / x HTTP/1.1\r\nHost: x\r\n\r\n",
	"a chunk's extension":    chunks("5;a=b\r\nhello\r\n0\r\n\r\n"),
	"a chunk's bare LF":      chunks("5\nhello\r\n0\r\n\r\n"),
	"a signed chunk":         chunks("+5\r\nhello\r\n0\r\n\r\n"),
	"a chunk in 0x":          chunks("0x5\r\nhello\r\n0\r\n\r\n"),
	"an empty chunk size":    chunks("\r\nhello\r\n0\r\n\r\n"),
	"a chunk too long":       chunks("5\r\nhello!\r\n0\r\n\r\n"),
	"a huge chunk":           chunks("ffffffffffffffff\r\n"),
	"LF behind a chunk":      chunks("5\r\nhello\n0\r\n\r\n"),
	"a folded trailer":       chunks("0\r\nA: b\r\n c\r\n\r\n"),
	"a head without end":     "GET / HTTP/1.1\r\nA: " + strings.Repeat("b", MaxHead) + "\r\n\r\n",
}

var strictly = map[string]string{
	"plain": plain, "a body": good, "chunks": chunks("5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"),
	"a trailer": chunks("0\r\nA: b\r\n\r\n"), "upper hex": chunks("A\r\n0123456789\r\n0\r\n\r\n"),
	"an empty line first": "\r\n" + plain, "a length of 0": with("Content-Length: 0"),
	"no blank behind the colon": with("A:b"), "HTTP/1.0": "GET / HTTP/1.0\r\n\r\n",
	"a body of newlines": with("Content-Length: 4") + "\n\r\n\n",
	"Chunked":            strings.Replace(chunks("0\r\n\r\n"), "chunked", "Chunked", 1),
}

func TestParser(t *testing.T) {
	for _, size := range []int{1, 3, 1 << 20} {
		for name, text := range ambiguous {
			if feed(text+plain, size) && feed(plain+text+plain, size) {
				t.Errorf("%s, in pieces of %d: accepted", name, size)
			}
			if feed(good+text+plain, size) {
				t.Errorf("%s behind a good request, in pieces of %d: accepted", name, size)
			}
		}
		for name, text := range strictly {
			if !feed(text+good+text, size) {
				t.Errorf("%s, in pieces of %d: rejected", name, size)
			}
		}
	}
}

func feed(text string, size int) bool {
	var p parser
	for len(text) > 0 {
		n := min(size, len(text))
		if !p.feed([]byte(text[:n])) {
			return false
		}
		text = text[n:]
	}
	return true
}

// A server behind the listener gets neither the invalid bytes nor what follows them.
func TestListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 10)
	s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen <- r.URL.Path
	})}
	defer s.Close()
	go func() { _ = s.Serve(Listen(l)) }()
	for name, text := range ambiguous {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, text+"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
		all, _ := io.ReadAll(c)
		_ = c.Close()
		if !strings.HasPrefix(string(all), "HTTP/1.1 400 ") {
			t.Errorf("%s: got %q, want status 400", name, all)
		}
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for _, text := range []string{good, strictly["chunks"], plain} {
		_, _ = io.WriteString(c, text)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%q: got %v, %v", text, resp, err)
		}
	}
	close(seen)
	for path := range seen {
		if path == "/smuggled" || path == "/d" {
			t.Errorf("the server saw %s", path)
		}
	}
}

func FuzzParser(f *testing.F) {
	for _, text := range ambiguous {
		f.Add([]byte(text))
	}
	for _, text := range strictly {
		f.Add([]byte(text))
	}
	// An accepted request is accepted however it is split.
	f.Fuzz(func(t *testing.T, data []byte) {
		if whole := feed(string(data), len(data)+1); whole != feed(string(data), 1) {
			t.Errorf("whole: %v, byte by byte: %v", whole, !whole)
		}
	})
}
