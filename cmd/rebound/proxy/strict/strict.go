// Package strict is a listener for HTTP/1 that rejects ambiguous requests: two parsers may read
// them differently. Such requests can smuggle others past a proxy (CWE-444).
package strict

import (
	"bytes"
	"net"
	"strconv"
	"strings"
)

// MaxHead is how many bytes the head of a request may have.
const MaxHead = 64 << 10

// Listen returns l with connections that end at the first ambiguous request: with a bare LF or CR,
// a folded line, blanks before a colon, Content-Length beside Transfer-Encoding, several or
// malformed lengths, or an encoding other than chunked. The answer is status 400.
func Listen(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// conn parses the framing of the requests in the bytes that net/http reads.
type conn struct {
	net.Conn
	parser parser
	broken bool
}

const answer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Content-Length: 31\r\nConnection: close\r\n\r\nthe request is ambiguous: closed"

// Read reads from the connection, until the first fault.
func (c *conn) Read(p []byte) (int, error) {
	if c.broken {
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(p)
	if !c.parser.feed(p[:n]) {
		c.broken = true
		// The server has no complete request to answer now, so this answer does not mix with another. The
		// exception is a read of one byte, with which net/http watches for the end of the connection
		// while it answers. Then the connection only ends.
		if len(p) > 1 {
			_, _ = c.Conn.Write([]byte(answer))
		}
		_ = c.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// CloseWrite lets net/http close a connection without losing the answer.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// parser parses the framing of a stream of requests.
type parser struct {
	state state
	line  []byte // the incomplete line
	head  int    // bytes of the head or the line so far
	left  int64  // bytes of the body or the chunk that are missing
	begun bool   // the first line was read
	old   bool   // the request is HTTP/1.0

	length  int64 // or unstated
	chunked bool
}

type state uint8

const (
	inHead state = iota
	inBody
	inSize     // of a chunk
	inChunk    // in the data of a chunk
	afterChunk // in the line that ends the data
	inTrailer
)

const unstated = -1

// feed parses the next bytes. ok is false at the first fault.
func (p *parser) feed(data []byte) (ok bool) {
	for len(data) > 0 {
		if p.state == inBody || p.state == inChunk {
			n := min(int64(len(data)), p.left)
			data, p.left = data[n:], p.left-n
			if p.left == 0 {
				p.bodyEnded()
			}
			continue
		}
		i := bytes.IndexByte(data, '\n')
		part := data
		if i >= 0 {
			part = data[:i+1]
		}
		data = data[len(part):]
		p.line = append(p.line, part...)
		if p.head += len(part); p.head > MaxHead {
			return false
		}
		if i < 0 {
			return true
		}
		line, crlf := strings.CutSuffix(string(p.line), "\r\n")
		p.line = p.line[:0]
		if !crlf || strings.ContainsAny(line, "\r\x00") || !p.lineEnded(line) {
			return false
		}
	}
	return true
}

func (p *parser) bodyEnded() {
	if p.state == inChunk {
		p.state = afterChunk
		return
	}
	p.begin()
}

// begin prepares for the next request.
func (p *parser) begin() { *p = parser{line: p.line[:0]} }

func (p *parser) lineEnded(line string) (ok bool) {
	switch p.state {
	case inSize:
		return p.size(line)
	case afterChunk:
		p.state, p.head = inSize, 0
		return line == ""
	case inTrailer:
		if line == "" {
			p.begin()
		}
		return line == "" || isField(line)
	}
	switch {
	case line == "" && !p.begun: // servers should ignore empty lines before a request
		return true
	case line == "":
		return p.headEnded()
	case !p.begun:
		p.begun = true
		p.length = unstated
		p.old = strings.HasSuffix(line, " HTTP/1.0")
		return strings.Count(line, " ") == 2 && (p.old || strings.HasSuffix(line, " HTTP/1.1"))
	}
	return isField(line) && p.field(line)
}

// isField reports whether a line is a header field, and not the continuation of one.
func isField(line string) bool {
	name, _, ok := strings.Cut(line, ":")
	return ok && name != "" && !strings.ContainsAny(name, " \t")
}

// field reads the fields that decide where a request ends.
func (p *parser) field(line string) (ok bool) {
	name, value, _ := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	switch strings.ToLower(name) {
	case "content-length":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 || value[0] == '+' || p.length >= 0 {
			return false
		}
		p.length = n
	case "transfer-encoding":
		if p.old || p.chunked || !strings.EqualFold(value, "chunked") {
			return false
		}
		p.chunked = true
	}
	return true
}

func (p *parser) headEnded() (ok bool) {
	p.head = 0
	switch {
	case p.chunked && p.length >= 0:
		return false
	case p.chunked:
		p.state = inSize
	case p.length > 0:
		p.state, p.left = inBody, p.length
	default:
		p.begin()
	}
	return true
}

// size reads the size of a chunk. Chunk extensions are rejected, because servers ignore them.
func (p *parser) size(line string) (ok bool) {
	n, err := strconv.ParseInt(line, 16, 64)
	if err != nil || n < 0 || line[0] == '+' || line[0] == '-' || len(line) > 15 {
		return false
	}
	p.head = 0
	if n == 0 {
		p.state = inTrailer
		return true
	}
	p.state, p.left = inChunk, n
	return true
}
