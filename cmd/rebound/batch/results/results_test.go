package results

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// The output is one line of JSON, and can be read again. No part of it is taken for damage.
func TestWrittenLinesAreRead(t *testing.T) {
	good := &Response{Status: 200, RequestID: "req \"1\"", Body: []byte(`{"a": "\u0041"}`)}
	for name, l := range map[string]Line{
		"success":     {ID: "r1", Response: good, Attempts: 1, Tokens: [2]float64{3, 0}},
		"cost":        {ID: "r1", Response: good, Cost: money.Dollars(1.25), Seconds: 0.0625},
		"error":       {ID: "r1", Error: &Error{"bad", "a \"word\"\n"}, Stopped: "in doubt"},
		"refusal":     {ID: "r1", Response: good, Error: &Error{Code: "bad"}, Stopped: "exhausted"},
		"odd id":      {ID: "\"\\<\u2028é\x00", Response: good},
		"empty":       {ID: "r1", Response: &Response{Status: 204}},
		"several":     {ID: "r1", Response: &Response{Status: 200, Body: []byte("{\"a\":\r\n1}\n")}},
		"not JSON":    {ID: "r1", Response: &Response{Status: 200, Body: []byte("a\nb\xff")}},
		"like an end": {ID: "r1", Response: &Response{Body: []byte(`{"rebound":{"cost":7}}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			l.Name = NamePrefix + "0a"
			line := l.Append(nil)
			if n := bytes.IndexByte(line, '\n'); n != len(line)-1 || !json.Valid(line) {
				t.Fatalf("%q is not a line of JSON", line)
			}
			o, err := Read(line[:len(line)-1])
			if err != nil || o.ID != l.ID || o.End.Amount() != l.Cost || o.End.Stopped != l.Stopped {
				t.Errorf("%q is read as %+v, %v", line, o, err)
			}
			for i := 1; i < len(line); i++ {
				if !Torn(line[:i]) {
					t.Errorf("%q is not a beginning of a line", line[:i])
				}
			}
			if kept := l.Append([]byte("before ")); string(kept) != "before "+string(line) {
				t.Errorf("appended %q", kept)
			}
		})
	}
	if Torn([]byte(strings.Repeat("x", 20))) {
		t.Error("any text is the beginning of a line")
	}
}
