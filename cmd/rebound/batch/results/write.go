// Package results writes the lines of the results and the errors of a batch, and reads them again.
//
// They have OpenAI's fields, and one of ours. Their order is fixed: recovery reads the first and
// the last.
package results

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/internal/jsonscan"
)

// Line is what a row has ended with.
type Line struct {
	ID       string    // the custom_id
	Name     string    // begins with NamePrefix
	Response *Response // nil = none
	Error    *Error    // nil = none: the line is one of the results

	Attempts int
	Seconds  float64
	Tokens   [2]float64 // of the prompt and of the answer
	Cost     money.Amount
	Stopped  string // why there were no more attempts, of an error
}

// Response is what the server has answered.
type Response struct {
	Status    int    // of HTTP
	RequestID string // of the server; empty = none
	Body      []byte // JSON, else it becomes a text
}

// Error is why a row has failed.
type Error struct{ Code, Message string }

// Append appends the line and its newline to b.
func (l Line) Append(b []byte) []byte {
	size := 256
	if l.Response != nil {
		size += len(l.Response.Body)
	}
	b = appendText(append(slices.Grow(b, size), `{"custom_id":`...), l.ID)
	b = append(append(append(b, `,"id":"`...), l.Name...), `","response":`...)
	if r := l.Response; r == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(append(b, `{"status_code":`...), int64(r.Status), 10)
		b = appendText(append(b, `,"request_id":`...), r.RequestID)
		b = append(appendBody(append(b, `,"body":`...), r.Body), '}')
	}
	b = append(b, `,"error":`...)
	if l.Error == nil {
		b = append(b, "null"...)
	} else {
		b = appendText(append(b, `{"code":`...), l.Error.Code)
		b = append(appendText(append(b, `,"message":`...), l.Error.Message), '}')
	}
	return l.appendEnd(b)
}

// appendEnd appends what is ours of a line.
func (l Line) appendEnd(b []byte) []byte {
	number := func(name string, n float64) {
		b = strconv.AppendFloat(append(b, name...), n, 'f', -1, 64)
	}
	number(`,"rebound":{"attempts":`, float64(l.Attempts))
	number(`,"seconds":`, math.Round(l.Seconds*1000)/1000)
	if l.Tokens != [2]float64{} {
		number(`,"tokens":[`, l.Tokens[0])
		number(`,`, l.Tokens[1])
		b = append(b, ']')
	}
	if l.Cost != 0 {
		number(`,"cost":`, l.Cost.USD())
	}
	if l.Stopped != "" {
		b = appendText(append(b, `,"stopped":`...), l.Stopped)
	}
	return append(b, "}}\n"...)
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
