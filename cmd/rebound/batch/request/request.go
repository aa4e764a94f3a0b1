// Package request makes the HTTP request of a row.
package request

import (
	"bytes"
	"io"
	"net/http"
	"sync"

	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/llm"
)

// Maker makes requests. Its fields must not change after the first use.
type Maker struct {
	Header        http.Header // of every row
	IdempotencyAs string      // header that gets a key unique to the row; empty = none
	Key           store.Key

	once       sync.Once
	bare, json http.Header // see header
}

// Of returns the request of a row, with the body given.
func (m *Maker) Of(r rows.Row, body []byte) *http.Request {
	req := &http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	m.SetHead(req, r)
	SetBody(req, body)
	return req
}

// SetHead sets the method, the URL and the headers of a row's request.
func (m *Maker) SetHead(req *http.Request, r rows.Row) {
	req.Method, req.URL, req.Host = r.Method, r.Target, r.Target.Host
	req.Header = m.header(r.BodyFile == "" && r.Body != nil)
	if m.IdempotencyAs == "" && len(r.Headers) == 0 {
		return
	}
	req.Header = req.Header.Clone()
	if m.IdempotencyAs != "" {
		req.Header.Set(m.IdempotencyAs, m.Key.Name(r.ID))
	}
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
}

// header returns the headers that all rows share. The caller must not change them. json adds the
// Content-Type of rows whose body is JSON.
func (m *Maker) header(json bool) http.Header {
	m.once.Do(func() {
		if m.bare = m.Header.Clone(); m.bare == nil {
			m.bare = http.Header{}
		}
		m.json = m.bare.Clone()
		m.json.Set("Content-Type", "application/json")
	})
	if json {
		return m.json
	}
	return m.bare
}

// SetBody sets a body that can be sent more than once.
func SetBody(req *http.Request, body []byte) {
	if len(body) == 0 {
		return
	}
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody()
}

// Repeatable reports whether a request can be sent twice without harm.
func Repeatable(req *http.Request) bool {
	switch req.Method {
	case "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE":
		return true
	}
	return req.Header.Get("Idempotency-Key") != "" || llm.IsGeneration(req)
}
