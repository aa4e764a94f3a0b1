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

// A line of ours begins with idPrefix, the custom_id and namePrefix. Such a line is read by its
// beginning and its end alone, for speed.
const (
	idPrefix   = `{"custom_id":"`
	namePrefix = `","id":"` + NamePrefix
	endPrefix  = `"rebound":{`
)

// NamePrefix begins the name of each row.
const NamePrefix = "rebound-"

// Ending has the parts of a line's last field, "rebound", that are read again.
type Ending struct {
	Cost    float64 `json:"cost"` // in dollars
	Stopped string  `json:"stopped"`
}

// Amount returns the Cost as an amount.
func (e Ending) Amount() money.Amount { return money.Dollars(e.Cost) }

// Outcome has what recovery needs from a line.
type Outcome struct {
	ID   string
	Good bool   // the line is ours, or a provider's line of a success
	End  Ending // zero if the line is not ours
}

// Read reads a line without its newline: a line of ours, or one of a provider's batch API.
func Read(line []byte) (o Outcome, err error) {
	if bytes.IndexByte(line, 0) >= 0 {
		return o, errors.New("this line contains zero bytes")
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

// endingOf reads the field "rebound", which is the last of a line of ours.
func endingOf(line []byte) (e Ending, err error) {
	i := bytes.LastIndex(line, []byte(endPrefix))
	if i < 0 || line[len(line)-1] != '}' {
		return e, errors.New("this line has no field rebound at its end")
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
		return e, fmt.Errorf("this line has no valid field rebound at its end: %w",
			cmp.Or(err, errors.New("the field is not JSON")))
	}
	return e, nil
}

// decode reads the value of a field. On failure it sets err.
func decode[T any](value []byte, err *error) (v T) {
	if bad := json.Unmarshal(value, &v); bad != nil {
		*err = bad
	}
	return v
}

// provided reads a line of a provider's batch API. Its fields may have any order.
func provided(line []byte) (o Outcome, err error) {
	var r struct {
		ID       *string `json:"custom_id"`
		Key      *string `json:"key"` // Google's custom_id
		Response *struct {
			Status int `json:"status_code"` // Google's lines have none, and their response is a success
		} `json:"response"`
		Result *struct { // Anthropic's response
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

// Torn reports whether a text may be a line of ours that was cut off, perhaps followed by zeros.
// Its bytes must agree with idPrefix, a custom_id and namePrefix, as far as they reach.
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

// afterPrefix reports whether text begins with prefix, or prefix begins with text.
func afterPrefix(text []byte, prefix string) (rest []byte, ok bool) {
	n := min(len(prefix), len(text))
	return text[n:], string(text[:n]) == prefix[:n]
}
