package reboundhttp

import (
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
)

// source is a request's body from GetBody, watched for errors of its own. Without it a file that
// cannot be read would look like a broken connection, and be retried.
type source struct {
	io.ReadCloser
	mu     sync.Mutex
	err    error
	closed bool
}

// watched returns body as a source, or nil if reading the body cannot fail.
func watched(body io.ReadCloser) *source {
	if inMemory(body) {
		return nil
	}
	return &source{ReadCloser: body}
}

// The types that io.NopCloser returns. They are not exported, so they are taken from examples.
var (
	nopCloser         = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriterTo = reflect.TypeOf(io.NopCloser(io.MultiReader()))
)

// inMemory reports whether r reads from memory, so that its Read neither fails nor blocks.
func inMemory(r io.Reader) bool {
	if t := reflect.TypeOf(r); t == nopCloser || t == nopCloserWriterTo {
		r, _ = reflect.ValueOf(r).Field(0).Interface().(io.Reader)
	}
	switch r.(type) {
	case nil, *bytes.Reader, *bytes.Buffer, *strings.Reader:
		return true
	}
	return r == http.NoBody
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	// io.EOF is the end of the body and not a failure.
	if err != nil && err != io.EOF && !s.closed {
		s.err = err
	}
	return n, err
}

// Close is called by net/http when the attempt fails. Errors of Read after that are not the reason.
func (s *source) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.ReadCloser.Close()
}

// failure returns the error of Read, or nil.
func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
