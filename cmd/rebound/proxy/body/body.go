// Package body holds the bodies of requests, so that they can be sent again.
package body

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Why a body is not held.
var (
	ErrLong   = errors.New("the body is too long")
	ErrFull   = errors.New("too many requests are under way")
	ErrBroken = errors.New("the body broke off")
)

// Memory bounds the bodies that are held at a time.
type Memory struct {
	max  int64 // bytes of one body
	left *semaphore.Weighted
}

// New returns a memory for bodies of at most max bytes, and of all bytes together.
func New(max, all int64) *Memory { return &Memory{max, semaphore.NewWeighted(all)} }

// step is how many bytes more are reserved for a body whose length is not known.
const step = 64 << 10

// Hold reads the body of a request in the place of whom sends it on. A length that is known is
// reserved before the first byte is read. Call release when the request has ended.
func (m *Memory) Hold(req *http.Request) (release func(), err error) {
	var held int64
	defer func() {
		if err != nil {
			m.left.Release(held)
		}
	}()
	var text []byte
	switch n := req.ContentLength; {
	case n > m.max:
		return nil, ErrLong
	case n >= 0:
		if !m.left.TryAcquire(n) {
			return nil, ErrFull
		}
		held, text = n, make([]byte, n)
		if _, err := io.ReadFull(req.Body, text); err != nil {
			return nil, ErrBroken
		}
	default:
		if text, held, err = m.grow(req.Body); err != nil {
			return nil, err
		}
	}
	req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, int64(len(text))
	if len(text) > 0 {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
		req.Body, _ = req.GetBody()
	}
	req.TransferEncoding = nil
	return func() { m.left.Release(held) }, nil
}

// grow reads a body whose length is not known. held is reserved, whatever the error.
func (m *Memory) grow(r io.Reader) (text []byte, held int64, err error) {
	for {
		if int64(len(text)) == held {
			if !m.left.TryAcquire(step) {
				return nil, held, ErrFull
			}
			held += step
			text = slices.Grow(text, step)
		}
		n, err := r.Read(text[len(text):held])
		text = text[:len(text)+n]
		switch {
		case int64(len(text)) > m.max:
			return nil, held, ErrLong
		case errors.Is(err, io.EOF):
			unused := held - int64(len(text))
			m.left.Release(unused)
			return text, held - unused, nil
		case err != nil:
			return nil, held, ErrBroken
		}
	}
}

// Buffers are what responses are copied with. They are small since each stream has one.
type Buffers struct{ pool sync.Pool }

const bufferSize = 8 << 10

// Get returns a buffer that is in no other use.
func (b *Buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

// Put takes a buffer back.
func (b *Buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }
