package results

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/internal/jsonscan"
)

// A line of ours begins with the first two, around the custom_id. Only such a line is read by its
// beginning and its end alone.
const (
	idPrefix   = `{"custom_id":"`
	namePrefix = `","id":"` + NamePrefix
	endPrefix  = `"rebound":{`
)

// NamePrefix is what the name of each row begins with.
const NamePrefix = "rebound-"

// Ending is what a line's last field holds: {…,"rebound":{…}}.
type Ending struct {
	Cost    float64 `json:"cost"` // in dollars
	Stopped string  `json:"stopped"`
}

// Amount is the Cost.
func (e Ending) Amount() money.Amount { return money.Dollars(e.Cost) }

// Outcome is what recovery needs of a line.
type Outcome struct {
	ID   string
	Good bool   // there is a response, and no error
	End  Ending // zero if the line is none of ours
}

// Read reads a line without its newline. The custom_id comes first in ours; in those that a
// provider's batch API has left, it is anywhere.
func Read(line []byte) (o Outcome, err error) {
	if bytes.IndexByte(line, 0) >= 0 {
		return o, errors.New("there are zero bytes in this line")
	}
	if rest, ok := bytes.CutPrefix(line, []byte(idPrefix)); ok {
		end := bytes.IndexByte(rest, '"')
		if end >= 0 && bytes.IndexByte(rest[:end], '\\') < 0 &&
			bytes.HasPrefix(rest[end:], []byte(namePrefix)) {
			o.End, err = endingOf(line)
			o.ID, o.Good = string(rest[:end]), true
			return o, err
		}
	}
	return provided(line)
}

// endingOf reads the end of a line of ours.
func endingOf(line []byte) (e Ending, err error) {
	i := bytes.LastIndex(line, []byte(endPrefix))
	if i < 0 || line[len(line)-1] != '}' {
		return e, errors.New("this line of a batch has no end")
	}
	whole := jsonscan.Fields(line[i+len(endPrefix)-1:len(line)-1], func(name, value []byte) {
		switch string(name) {
		case "cost":
			e.Cost = decode[float64](value, &err)
		case "stopped":
			e.Stopped = decode[string](value, &err)
		}
	})
	if !whole || err != nil {
		return e, fmt.Errorf("this line of a batch has no end: %w",
			cmp.Or(err, errors.New("its last field is not JSON")))
	}
	return e, nil
}

// decode reads the value of a field. It sets err to its error, if it has one.
func decode[T any](value []byte, err *error) (v T) {
	if bad := json.Unmarshal(value, &v); bad != nil {
		*err = bad
	}
	return v
}

// provided reads a line that a provider's batch API has left, in any order of its fields.
func provided(line []byte) (o Outcome, err error) {
	var r struct {
		ID       *string `json:"custom_id"`
		Key      *string `json:"key"` // of Google
		Response *struct {
			Status int `json:"status_code"` // Google has none: its response is a success
		} `json:"response"`
		Result *struct { // of Anthropic
			Type string `json:"type"`
		} `json:"result"`
		Error   json.RawMessage `json:"error"`
		Rebound Ending          `json:"rebound"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return o, fmt.Errorf("this is not a line of a batch: %w", err)
	}
	if r.ID == nil {
		r.ID = r.Key
	}
	fails := len(r.Error) > 0 && string(r.Error) != "null"
	switch {
	case r.ID == nil:
		return o, errors.New("this is not a line of a batch: it has no custom_id")
	case r.Response == nil && r.Result == nil && !fails:
		return o, errors.New("this is not a line of results: it has neither a response nor an error")
	}
	o = Outcome{ID: *r.ID, End: r.Rebound}
	o.Good = !fails && (r.Response == nil || r.Response.Status < 300) &&
		(r.Result == nil || r.Result.Type == "succeeded")
	return o, nil
}

// Torn reports whether a text may be the beginning of a line of ours, with zeros behind it: it has
// as much as there is of what each of them has.
func Torn(line []byte) bool {
	line = bytes.TrimRight(line, "\x00")
	rest, ok := afterPrefix(line, idPrefix)
	for len(rest) > 0 && rest[0] != '"' { // the custom_id
		if rest[0] == '\\' {
			rest = rest[1:]
		}
		rest = rest[min(1, len(rest)):]
	}
	_, named := afterPrefix(rest, namePrefix)
	return ok && named
}

// afterPrefix reports whether a text begins with prefix, or is its beginning.
func afterPrefix(text []byte, prefix string) (rest []byte, ok bool) {
	n := min(len(prefix), len(text))
	return text[n:], string(text[:n]) == prefix[:n]
}
