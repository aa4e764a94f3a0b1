package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
)

// peekedBody is a body of which the beginning was read and is given again.
type peekedBody struct {
	io.ReadCloser
	held []byte
	step int // bytes of room that held gets at a time, at least
}

// peek is the body of resp, to be read in one step if it is short.
func peek(resp *http.Response) *peekedBody {
	// A server may state any length, so that it decides about little room alone.
	const least, most = 512, 16 << 10
	// One byte more, for which the end of the body is seen.
	return &peekedBody{ReadCloser: resp.Body, step: int(min(max(resp.ContentLength+1, least), most))}
}

// Read gives what is held again, then the rest.
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
	// Grow doubles the room, or nearly so, of what is longer than a step.
	if len(b.held) == cap(b.held) {
		b.held = slices.Grow(b.held, b.step)
	}
	n, err := b.ReadCloser.Read(b.held[len(b.held):cap(b.held)])
	b.held = b.held[:len(b.held)+n]
	return err
}

// all reads up to most bytes and holds them. It returns io.EOF if there are no more.
func (b *peekedBody) all(most int) (err error) {
	for err == nil && len(b.held) < most {
		err = b.more()
	}
	return err
}

// start is the beginning of the body behind blanks, which some servers send while a model thinks:
// at least n bytes of it, or all.
func (b *peekedBody) start(n int) ([]byte, error) {
	for {
		text := trim(b.held)
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

// byteOrderMark is UTF-8's byte order mark.
var byteOrderMark = []byte("\xef\xbb\xbf")

// trim is text without the blanks, and the byte order mark, before it.
func trim(text []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(text, byteOrderMark), " \t\r\n")
}

// firstPiece returns the first value, or the first element of an array. What is no JSON has none.
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

// holding reads on in a peekedBody and holds what it has read.
type holding struct{ b *peekedBody }

func (h holding) Read(p []byte) (int, error) {
	n, err := h.b.ReadCloser.Read(p)
	h.b.held = append(h.b.held, p[:n]...)
	return n, err
}
