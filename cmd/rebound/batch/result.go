package batch

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strings"
)

// line is a row's line in the results or the errors: OpenAI's fields, and one of ours. The order of
// its fields is that of the text: recovery reads the first and the last.
type line struct {
	CustomID string    `json:"custom_id"`
	ID       string    `json:"id"`
	Response *response `json:"response"`
	Error    *rowError `json:"error"`
	Rebound  ended     `json:"rebound"`
}

type response struct {
	StatusCode int             `json:"status_code"`
	RequestID  string          `json:"request_id"`
	Body       json.RawMessage `json:"body"`
}

type rowError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ended is what is ours of a line. endingOf reads it again.
type ended struct {
	Attempts int         `json:"attempts"`
	Seconds  float64     `json:"seconds"`
	Tokens   *[2]float64 `json:"tokens,omitempty"` // of the prompt and of the answer
	Cost     float64     `json:"cost,omitempty"`   // dollars
	Stopped  string      `json:"stopped,omitempty"`
}

func (b *batch) newLine(j job, a answer, v verdict) line {
	l := line{CustomID: j.row.ID, ID: b.key.Name(j.row.ID), Rebound: ended{
		Attempts: j.attempts + v.attempts, Seconds: math.Round(v.seconds*1000) / 1000,
		Cost: v.cost.USD(),
	}}
	if v.usage.Input+v.usage.Output > 0 {
		l.Rebound.Tokens = &[2]float64{v.usage.Input, v.usage.Output}
	}
	if a.resp != nil {
		id := string(b.secrets.Redact([]byte(requestID(a.resp.Header))))
		l.Response = &response{a.resp.StatusCode, id, asJSON(a.body)}
	}
	return l
}

// resultLine is a line of the results.
func (b *batch) resultLine(j job, a answer, v verdict) []byte { return encode(b.newLine(j, a, v)) }

// errorLine is a line of the errors. The body may echo secrets, which are taken out.
func (b *batch) errorLine(j job, a answer, v verdict) []byte {
	a.body = b.secretsOf(a).Redact(a.body)
	l := b.newLine(j, a, v)
	l.Error = &rowError{v.code, v.why}
	l.Rebound.Stopped = "not retryable"
	switch {
	case v.code == codeInDoubt:
		l.Rebound.Stopped = stoppedInDoubt
	case l.Rebound.Attempts >= b.o.RowAttempts:
		l.Rebound.Stopped = "exhausted"
	}
	return encode(l)
}

func encode(l line) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(l) // it has no values that cannot be encoded
	return buf.Bytes()
}

func requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id", "X-Amzn-Requestid"} {
		if id := h.Get(name); id != "" {
			return id
		}
	}
	return ""
}

// asJSON is the body if it is JSON, on one line, else a text.
func asJSON(body []byte) json.RawMessage {
	var compact bytes.Buffer
	if json.Compact(&compact, body) == nil {
		return compact.Bytes()
	}
	text, _ := json.Marshal(strings.ToValidUTF8(string(body), "\uFFFD"))
	return text
}
