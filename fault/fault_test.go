package fault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/rebound-go/rebound/fault"
)

func TestWords(t *testing.T) {
	for _, tc := range []struct {
		word fmt.Stringer
		want string
	}{
		{fault.None, "none"}, {fault.Unknown, "unknown"}, {fault.Transient, "transient"},
		{fault.RateLimited, "rate_limited"}, {fault.Overloaded, "overloaded"},
		{fault.Permanent, "permanent"}, {fault.Canceled, "canceled"}, {fault.Kind(99), "invalid"},
		{fault.MaybeDone, "maybe_done"}, {fault.NotSent, "not_sent"}, {fault.NotDone, "not_done"},
		{fault.Sent(99), "invalid"},
	} {
		if got := tc.word.String(); got != tc.want {
			t.Errorf("String() = %q, want %q", got, tc.want)
		}
		text, err := json.Marshal(tc.word)
		if want := `"` + tc.want + `"`; err != nil || string(text) != want {
			t.Errorf("JSON of %v = %s, %v, want %s", tc.word, text, err, want)
		}
	}
	counts, err := json.Marshal(map[fault.Kind]int{fault.RateLimited: 2})
	if want := `{"rate_limited":2}`; err != nil || string(counts) != want {
		t.Errorf("JSON of a map by kind = %s, %v, want %s", counts, err, want)
	}
}

func TestFirst(t *testing.T) {
	err := errors.New("x")
	knows := func(k fault.Kind) fault.Classifier {
		return func(err error) fault.Fault { return fault.Fault{Kind: k, Err: err} }
	}
	for _, tc := range []struct {
		name string
		in   []fault.Classifier
		want fault.Kind
	}{
		{"no classifier", nil, fault.Unknown},
		{"all unknown", []fault.Classifier{knows(fault.Unknown), fault.Of}, fault.Unknown},
		{"the first that knows", []fault.Classifier{knows(fault.Unknown), knows(fault.Permanent),
			knows(fault.Transient)}, fault.Permanent},
		{"an answer is knowledge", []fault.Classifier{knows(fault.None), knows(fault.Permanent)},
			fault.None},
		{"nil passed over", []fault.Classifier{nil, knows(fault.Canceled)}, fault.Canceled},
	} {
		f := fault.First(tc.in...)(err)
		if f.Kind != tc.want || f.Err != err {
			t.Errorf("%s: %v of %v, want %v of %v", tc.name, f.Kind, f.Err, tc.want, err)
		}
	}
}
