package batch

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/rebound-go/rebound/internal/jsonscan"
)

// A line of the results or the errors has OpenAI's fields, and one of ours. Their order is fixed:
// recovery reads the first and the last.

// resultLine is a line of the results.
func (b *batch) resultLine(j job, a answer, v verdict) []byte {
	line := b.appendResponse(a.room, j, a)
	return appendEnd(append(line, "null"...), j, v, "")
}

// errorLine is a line of the errors. The body may echo secrets, which are taken out.
func (b *batch) errorLine(j job, a answer, v verdict) []byte {
	a.body = b.secretsOf(a).Redact(a.body)
	stopped := "not retryable"
	switch {
	case v.code == codeInDoubt:
		stopped = stoppedInDoubt
	case j.attempts+v.attempts >= b.o.RowAttempts:
		stopped = "exhausted"
	}
	line := append(b.appendResponse(a.room, j, a), `{"code":`...)
	line = append(appendText(line, v.code), `,"message":`...)
	return appendEnd(append(appendText(line, v.why), '}'), j, v, stopped)
}

// appendResponse appends a line up to the value of its error.
func (b *batch) appendResponse(line []byte, j job, a answer) []byte {
	line = appendText(append(slices.Grow(line, len(a.body)+256), `{"custom_id":`...), j.row.ID)
	line = append(append(line, `,"id":"`...), b.key.Name(j.row.ID)...)
	line = append(line, `","response":`...)
	if a.resp == nil {
		return append(line, `null,"error":`...)
	}
	line = strconv.AppendInt(append(line, `{"status_code":`...), int64(a.resp.StatusCode), 10)
	id := b.secrets.Redact([]byte(requestID(a.resp.Header)))
	line = appendText(append(line, `,"request_id":`...), string(id))
	line = appendBody(append(line, `,"body":`...), a.body)
	return append(line, `},"error":`...)
}

// appendEnd appends what is ours of a line, which recovery reads again.
func appendEnd(line []byte, j job, v verdict, stopped string) []byte {
	number := func(name string, n float64) {
		line = strconv.AppendFloat(append(line, name...), n, 'f', -1, 64)
	}
	number(`,"rebound":{"attempts":`, float64(j.attempts+v.attempts))
	number(`,"seconds":`, math.Round(v.seconds*1000)/1000)
	if v.usage.Input+v.usage.Output > 0 {
		number(`,"tokens":[`, v.usage.Input)
		number(`,`, v.usage.Output)
		line = append(line, ']')
	}
	if v.cost != 0 {
		number(`,"cost":`, v.cost.USD())
	}
	if stopped != "" {
		line = appendText(append(line, `,"stopped":`...), stopped)
	}
	return append(line, "}}\n"...)
}

// appendText appends a string in JSON.
func appendText(line []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			var quoted bytes.Buffer
			enc := json.NewEncoder(&quoted)
			enc.SetEscapeHTML(false)
			_ = enc.Encode(text) // never fails
			return append(line, bytes.TrimSpace(quoted.Bytes())...)
		}
	}
	return append(append(append(line, '"'), text...), '"')
}

// appendBody appends a body if it is JSON, on one line, else as a text.
func appendBody(line, body []byte) []byte {
	if !jsonscan.Valid(body) {
		return appendText(line, string(body))
	}
	if bytes.IndexByte(body, '\n') < 0 && bytes.IndexByte(body, '\r') < 0 {
		return append(line, bytes.TrimSpace(body)...)
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, body) // it is valid
	return append(line, compact.Bytes()...)
}

func requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id", "X-Amzn-Requestid"} {
		if id := h.Get(name); id != "" {
			return id
		}
	}
	return ""
}
