package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
)

// peekedBody is a body whose beginning has been read, and is returned again by Read.
type peekedBody struct {
	io.ReadCloser
	held []byte
	step int // bytes of room that held gets at a time, at least
}

// peek wraps the body of resp. A short body is read in one step.
func peek(resp *http.Response) *peekedBody {
	// A server may state any length, so the length decides only within this bound.
	const usual, most = 512, 16 << 10
	// A stream, or an answer that a proxy has re-encoded: its length is unknown.
	if resp.ContentLength < 0 {
		return &peekedBody{ReadCloser: resp.Body, step: usual}
	}
	// One byte more than the length, so that the same Read sees the end of the body.
	return &peekedBody{ReadCloser: resp.Body, step: int(min(resp.ContentLength+1, most))}
}

// Read returns what is held, then the rest.
func (b *peekedBody) Read(p []byte) (int, error) {
	if len(b.held) > 0 {
		n := copy(p, b.held)
		b.held = b.held[n:]
		return n, nil
	}
	return b.ReadCloser.Read(p)
}

// more reads once and holds what it has read.
func (b *peekedBody) more() error {
	// Grow about doubles a buffer that is longer than one step, so long bodies are not copied often.
	if len(b.held) == cap(b.held) {
		b.held = slices.Grow(b.held, b.step)
	}
	n, err := b.ReadCloser.Read(b.held[len(b.held):cap(b.held)])
	b.held = b.held[:len(b.held)+n]
	return err
}

// all reads up to most bytes and holds them. It returns io.EOF if the body ends before that.
func (b *peekedBody) all(most int) (err error) {
	for err == nil && len(b.held) < most {
		err = b.more()
	}
	return err
}

// start is the beginning of the body after white space: at least n bytes, or everything. Some
// servers send white space while a model thinks.
func (b *peekedBody) start(n int) ([]byte, error) {
	for {
		text := trim(b.held)
		// The body may be cut inside the three bytes of the mark; what follows decides its shape.
		halfMark := len(text) < len(byteOrderMark) && bytes.HasPrefix(byteOrderMark, text)
		if len(text) >= n && !halfMark || len(b.held) > maxHeld {
			return text, nil
		}
		switch err := b.more(); {
		case err == io.EOF:
			return trim(b.held), nil
		case err != nil:
			return nil, err
		}
	}
}

// byteOrderMark is the UTF-8 byte order mark, which some servers on Windows put before JSON.
var byteOrderMark = []byte("\xef\xbb\xbf")

// trim returns text without the byte order mark and white space at its start.
func trim(text []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(text, byteOrderMark), " \t\r\n")
}

// firstPiece returns the first value, or the first element of an array. It returns nil for a body
// that is not JSON.
func (b *peekedBody) firstPiece() (first json.RawMessage, err error) {
	start, err := b.start(1)
	if err != nil {
		return nil, err
	}
	text := io.MultiReader(bytes.NewReader(start), holding{b})
	dec := json.NewDecoder(io.LimitReader(text, maxHeld))
	if len(start) > 0 && start[0] == '[' {
		if _, err := dec.Token(); err != nil || !dec.More() {
			return nil, err
		}
	}
	err = dec.Decode(&first)
	if bad := (*json.SyntaxError)(nil); errors.As(err, &bad) {
		return nil, nil
	}
	return first, err
}

// holding reads on in a peekedBody and keeps what it reads, so that the caller gets those bytes
// again.
type holding struct{ b *peekedBody }

func (h holding) Read(p []byte) (int, error) {
	n, err := h.b.ReadCloser.Read(p)
	h.b.held = append(h.b.held, p[:n]...)
	return n, err
}
