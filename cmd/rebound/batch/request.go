package batch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/llm"
)

// head is a row's request without its body.
func (b *batch) head(r rows.Row) *http.Request {
	req := &http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	b.setHead(req, r)
	return req
}

// setHead gives a request all that a row has but the body.
func (b *batch) setHead(req *http.Request, r rows.Row) {
	req.Method, req.URL, req.Host = r.Method, r.Target, r.Target.Host
	req.Header = b.header(r.BodyFile == "" && r.Body != nil)
	if b.o.IdempotencyAs == "" && len(r.Headers) == 0 {
		return
	}
	req.Header = req.Header.Clone()
	if b.o.IdempotencyAs != "" {
		req.Header.Set(b.o.IdempotencyAs, b.key.Name(r.ID))
	}
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
}

// header is what the rows have in common, which must not be changed. json is for rows with a body.
func (b *batch) header(json bool) http.Header {
	b.headers.Do(func() {
		if b.bare = b.o.Header.Clone(); b.bare == nil {
			b.bare = http.Header{}
		}
		b.json = b.bare.Clone()
		b.json.Set("Content-Type", "application/json")
	})
	if json {
		return b.json
	}
	return b.bare
}

// setBody gives a request a body that can be sent again.
func setBody(req *http.Request, body []byte) {
	if len(body) == 0 {
		return
	}
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody()
}

// step is what a run does with a row of the input.
type step int

const (
	leave step = iota // it has ended
	send
	hold // to the errors: it is in doubt, and is not sent again
)

func (b *batch) step(r rows.Row, state store.State) step {
	switch {
	case state == store.Done, state == store.Failed:
		return leave
	case state == store.InDoubt && !b.redo(r):
		return hold
	}
	return send
}

// redo reports whether a row in doubt may be sent again.
func (b *batch) redo(r rows.Row) bool {
	switch b.o.InDoubt {
	case "redo":
		return true
	case "hold":
		return false
	}
	return repeatable(b.head(r))
}

// repeatable reports whether it does no harm to send a request twice.
func repeatable(req *http.Request) bool {
	switch req.Method {
	case "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE":
		return true
	}
	return req.Header.Get("Idempotency-Key") != "" || llm.IsGeneration(req)
}

var errNoPrices = errors.New("--budget needs --prices FILE: want litellm's price file or one " +
	"like it")

// checkPrices returns an error for the first row whose cost has no bound.
func (b *batch) checkPrices() error {
	if b.prices == nil {
		return errNoPrices
	}
	return b.in.Scan(func(n int, r rows.Row, err error) error {
		if err != nil {
			return err
		}
		i, _ := b.survey.Table.Find(b.key.Hash(r.ID))
		if b.step(r, b.survey.Table.State(i)) != send {
			return nil
		}
		req := b.head(r)
		setBody(req, r.Body)
		if _, err := b.prices.Most(req); err != nil {
			return fmt.Errorf("%s:%d: %w", b.in.Name, n, err)
		}
		return nil
	})
}
