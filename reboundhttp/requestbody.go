package reboundhttp

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// replay is the body of a request without GetBody. It keeps the bytes that were read, so that
// further attempts, and net/http itself, can read them again, each with its own reader. Nothing is
// read before it is sent. Once the body is too long to be kept, only the reader at its end can
// continue.
type replay struct {
	src   io.ReadCloser
	limit int64

	reading sync.Mutex // held while src is read, which may take long

	mu   sync.Mutex // guards what follows
	kept []byte
	n    int64 // bytes read of src; more than len(kept) if they are no longer kept
	err  error // of src
	used int   // readers that are not closed
	over bool  // there will be no further reader
}

var errSpent = errors.New("it is longer than MaxBuffer, and GetBody is not set")

// newReplay returns the body of a request. A body that is known to be too long is not kept at all,
// since a part of it would be of no use.
func newReplay(req *http.Request, limit int64) *replay {
	if req.ContentLength > limit {
		limit = 0
	}
	return &replay{src: req.Body, limit: limit}
}

// open returns a new reader at the beginning of the body, or errSpent if the beginning is gone.
func (r *replay) open() (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost() {
		return nil, errSpent
	}
	r.used++
	return &reader{replay: r}, nil
}

// lost reports whether the beginning is gone, so that no further attempt can send it. The caller
// holds r.mu.
func (r *replay) lost() bool { return r.n > int64(len(r.kept)) }

// failure returns the error of a source that could not be read, or nil.
func (r *replay) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == io.EOF {
		return nil
	}
	return r.err
}

// spent is lost for callers that do not hold r.mu.
func (r *replay) spent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost()
}

// finish closes the body as soon as the last reader is closed. net/http may read on for a while
// after a response, so a reader may still be open.
func (r *replay) finish() {
	r.mu.Lock()
	r.over = true
	now := r.used == 0
	r.mu.Unlock()
	// Close may block, so it is called without the lock.
	if now {
		_ = r.src.Close()
	}
}

// reader reads a replay.
type reader struct {
	*replay
	pos    int64 // guarded by replay.mu, as is
	closed bool
}

var errClosed = errors.New("http: read from a closed request body")

func (v *reader) Read(p []byte) (int, error) {
	if n, err, ok := v.old(p); ok {
		return n, err
	}
	// Only one reader at a time may read the source, or the bytes would be out of order.
	v.reading.Lock()
	defer v.reading.Unlock()
	if n, err, ok := v.old(p); ok { // another reader has read it in the meantime
		return n, err
	}
	// r.mu is not held, because Close of another reader must not wait for the source.
	n, err := v.src.Read(p)
	v.mu.Lock()
	defer v.mu.Unlock()
	// Once the body is above the limit, what was kept is of no use either.
	if v.n+int64(n) <= v.limit && !v.lost() {
		v.kept = append(v.kept, p[:n]...)
	} else if n > 0 {
		v.kept = nil
	}
	v.n += int64(n)
	v.err = err
	v.pos = v.n
	return n, err
}

// old returns bytes that were read before, if there are any.
func (v *reader) old(p []byte) (n int, err error, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
		return 0, errClosed, true
	case v.pos < v.n && v.lost():
		return 0, errSpent, true
	case v.pos < v.n:
		n = copy(p, v.kept[v.pos:])
		v.pos += int64(n)
		return n, nil, true
	}
	return 0, v.err, v.err != nil
}

// Close closes this reader only. The source stays open while another attempt may need it.
func (v *reader) Close() error {
	v.mu.Lock()
	first := !v.closed
	if first {
		v.closed = true
		v.used--
	}
	last := first && v.over && v.used == 0
	v.mu.Unlock()
	if last {
		return v.src.Close()
	}
	return nil
}
