// Package results writes the lines of the results and the errors of a batch, and reads them.
//
// A line has OpenAI's fields, and the field "rebound". The order of the fields is fixed, because
// recovery reads only the first and the last.
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

// Line is the line of a row that has ended.
type Line struct {
	ID       string    // the custom_id
	Name     string    // begins with NamePrefix
	Response *Response // nil = none
	Error    *Error    // nil = the line is a result

	Attempts int
	Seconds  float64
	Tokens   [2]float64 // of the prompt and the answer
	Cost     money.Amount
	Stopped  string // why no further attempt was made; empty = the line is a result
}

// Response is the server's answer.
type Response struct {
	Status    int    // HTTP status
	RequestID string // the server's; empty = none
	Body      []byte // written as it is if it is JSON, otherwise as a JSON string
}

// Error is why a row failed.
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

// appendEnd appends the field "rebound" and the end of the line.
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

// appendText appends a JSON string.
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

// appendBody appends a body on one line: JSON as it is, anything else as a string.
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
