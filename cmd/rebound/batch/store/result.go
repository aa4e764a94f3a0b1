package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/internal/jsonscan"
)

// A line of ours begins with these, around the custom_id. Only such a line is read by its beginning
// and its end alone.
const (
	idPrefix   = `{"custom_id":"`
	namePrefix = `","id":"rebound-`
	endPrefix  = `"rebound":{`
)

// Ending is what a line's last field holds: {…,"rebound":{…}}.
type Ending struct {
	Cost    float64 `json:"cost"` // in dollars
	Stopped string  `json:"stopped"`
}

func (e Ending) cost() money.Amount { return money.Dollars(e.Cost) }

// outcome is what recovery needs of a line.
type outcome struct {
	id   string
	good bool   // there is a response, and no error
	end  Ending // zero if the line is none of ours
}

// IDOf returns the custom_id of a line. It comes first in ours; in those that a provider's batch
// API has left, it is anywhere.
func IDOf(line []byte) (id string, err error) {
	o, err := outcomeOf(line)
	return o.id, err
}

func outcomeOf(line []byte) (o outcome, err error) {
	if bytes.IndexByte(line, 0) >= 0 {
		return o, errors.New("there are zero bytes in this line")
	}
	if rest, ok := bytes.CutPrefix(line, []byte(idPrefix)); ok {
		end := bytes.IndexByte(rest, '"')
		if end >= 0 && bytes.IndexByte(rest[:end], '\\') < 0 &&
			bytes.HasPrefix(rest[end:], []byte(namePrefix)) {
			o.end, err = endingOf(line)
			o.id, o.good = string(rest[:end]), true
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
			cmp.Or(err, errors.New("its last field is no JSON")))
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
func provided(line []byte) (o outcome, err error) {
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
		return o, fmt.Errorf("this is no line of a batch: %w", err)
	}
	if r.ID == nil {
		r.ID = r.Key
	}
	fails := len(r.Error) > 0 && string(r.Error) != "null"
	switch {
	case r.ID == nil:
		return o, errors.New("this is no line of a batch: it has no custom_id")
	case r.Response == nil && r.Result == nil && !fails:
		return o, errors.New("this is no line of results: it has neither a response nor an error")
	}
	o = outcome{id: *r.ID, end: r.Rebound}
	o.good = !fails && (r.Response == nil || r.Response.Status < 300) &&
		(r.Result == nil || r.Result.Type == "succeeded")
	return o, nil
}
