package reboundhttp

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Enough for any error body, and short enough not to delay the next attempt.
	aheadBytes = 64 << 10
	aheadTime  = time.Second
)

// ahead is the body of a bad response whose beginning has been read ahead, for classifiers and to
// free the connection. Its reader still gets the whole body. Late data do not delay the caller: a
// goroutine completes the Read that is under way.
type ahead struct {
	src    io.ReadCloser
	done   chan struct{} // closed when nothing is read ahead any more
	timeUp atomic.Bool   // aheadTime is over

	mu    sync.Mutex // guards buf and err until done is closed
	buf   []byte
	err   error // of src
	first [256]byte
}

// readFrom reads the beginning of resp's body, replaces the body by a, and returns what it has
// read.
func (a *ahead) readFrom(resp *http.Response) []byte {
	if resp.Body == nil || resp.Body == http.NoBody {
		return nil
	}
	a.src, a.buf = resp.Body, a.first[:0]
	resp.Body = a
	a.done = make(chan struct{})
	go func() {
		defer close(a.done)
		a.fill()
	}()
	// An error body usually arrives with its header. One that does not must not delay the next
	// attempt.
	timer := time.NewTimer(aheadTime)
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
		a.timeUp.Store(true)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.buf
}

// fill reads until the body ends, enough is read, or time is up. Bytes in buf are never changed
// again, so that the caller can examine them at the same time.
func (a *ahead) fill() {
	buf := a.buf
	for len(buf) < aheadBytes && !a.timeUp.Load() {
		// append moves the bytes to a larger array; the old one stays as it was.
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := a.src.Read(buf[len(buf):min(cap(buf), aheadBytes)])
		buf = buf[:len(buf)+n]
		a.mu.Lock()
		a.buf, a.err = buf, err
		a.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Read returns what was read ahead, then the rest.
func (a *ahead) Read(p []byte) (int, error) {
	// The goroutine owns the source until it is done. Two readers at once would mix up the bytes.
	<-a.done
	switch {
	case len(a.buf) > 0:
		n := copy(p, a.buf)
		a.buf = a.buf[n:]
		return n, nil
	case a.err != nil:
		return 0, a.err
	}
	return a.src.Read(p)
}

// Close also ends a Read under way.
func (a *ahead) Close() error { return a.src.Close() }
