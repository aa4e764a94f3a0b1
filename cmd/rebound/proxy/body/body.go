// Package body holds request bodies in memory, so that they can be sent again.
package body

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"
)

// The errors of Hold.
var (
	ErrLong   = errors.New("the body is too long")
	ErrFull   = errors.New("the bodies of the requests in flight need too much memory")
	ErrBroken = errors.New("the body ended early")
)

// Memory bounds the memory of all bodies together.
type Memory struct {
	max  int64 // bytes of one body
	left *semaphore.Weighted
}

// New returns a Memory. One body has at most max bytes, and all bodies together have at most all
// bytes.
func New(max, all int64) *Memory { return &Memory{max, semaphore.NewWeighted(all)} }

// step is the number of bytes that are reserved at a time for a body of unknown length.
const step = 64 << 10

// Hold reads the body of a request into memory, and sets req.Body and req.GetBody. A known length
// is reserved before the first byte is read. Call release, once or more, when no further attempt
// will be made. The memory is freed after release, when no reader is open.
func (m *Memory) Hold(req *http.Request) (release func(), err error) {
	var n int64 // reserved
	defer func() {
		if err != nil {
			m.left.Release(n)
		}
	}()
	var text []byte
	switch length := req.ContentLength; {
	case length > m.max:
		return nil, ErrLong
	case length >= 0:
		if !m.left.TryAcquire(length) {
			return nil, ErrFull
		}
		n, text = length, make([]byte, length)
		if _, err := io.ReadFull(req.Body, text); err != nil {
			return nil, ErrBroken
		}
	default:
		if text, n, err = m.grow(req.Body); err != nil {
			return nil, err
		}
	}
	req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, int64(len(text))
	req.TransferEncoding = nil
	b := &held{text: text, free: func() { m.left.Release(n) }}
	if len(text) > 0 {
		req.GetBody = b.open
		req.Body, _ = b.open()
	}
	return b.release, nil
}

// held is a body in memory. It is freed when it is released and no reader is open.
type held struct {
	mu       sync.Mutex
	text     []byte
	readers  int
	released bool
	free     func()
}

var errReleased = errors.New("the body was released, because the request was answered")

// open returns a reader of the body, from its beginning.
func (b *held) open() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.released {
		return nil, errReleased
	}
	b.readers++
	return &reader{of: b, rest: b.text}, nil
}

// reader reads a body. After Close it keeps no reference to the body, even if a request keeps the
// reader.
type reader struct {
	of     *held
	mu     sync.Mutex // a transport may call Close during Read
	rest   []byte
	closed bool
}

func (r *reader) Read(p []byte) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return 0, errReleased
	case len(r.rest) == 0:
		return 0, io.EOF
	}
	n = copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed, r.rest = true, nil
		r.of.leave(func() { r.of.readers-- })
	}
	return nil
}

func (b *held) release() { b.leave(func() { b.released = true }) }

// leave makes a change, and frees the body if that was its last use.
func (b *held) leave(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	if b.released && b.readers == 0 && b.free != nil {
		b.free()
		b.text, b.free = nil, nil
	}
}

// grow reads a body of unknown length. held is the number of reserved bytes, also after an error.
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

// Buffers is a pool of buffers for copying responses. They are small, because each stream has one.
type Buffers struct{ pool sync.Pool }

const bufferSize = 8 << 10

// Get returns a buffer.
func (b *Buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

// Put takes a buffer back.
func (b *Buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }
