package fault_test

import (
	"fmt"
	"testing"

	"github.com/rebound-go/rebound/fault"
)

// kafkaError has the fields of franz-go's kerr.Error. interop/engines tests the real one.
type kafkaError struct {
	Message   string
	Code      int16
	Retriable bool
}

func (e *kafkaError) Error() string { return e.Message + ": described" }

func TestKafka(t *testing.T) {
	for _, test := range []struct {
		err    *kafkaError
		kind   fault.Kind
		sent   fault.Sent
		detail string
	}{
		{&kafkaError{"NOT_LEADER_FOR_PARTITION", 6, true}, fault.Transient, fault.MaybeDone,
			"kafka NOT_LEADER_FOR_PARTITION"},
		{&kafkaError{"REQUEST_TIMED_OUT", 7, true}, fault.Transient, fault.MaybeDone,
			"kafka REQUEST_TIMED_OUT"},
		{&kafkaError{"TOPIC_AUTHORIZATION_FAILED", 29, false}, fault.Permanent, fault.MaybeDone,
			"kafka TOPIC_AUTHORIZATION_FAILED"},
		{&kafkaError{"THROTTLING_QUOTA_EXCEEDED", 89, true}, fault.RateLimited, fault.NotDone,
			"kafka THROTTLING_QUOTA_EXCEEDED"},
		{&kafkaError{"UNKNOWN_SERVER_ERROR", -1, false}, fault.Unknown, fault.MaybeDone,
			"kafka UNKNOWN_SERVER_ERROR"},
		{&kafkaError{}, fault.Unknown, fault.MaybeDone, ""},
		{nil, fault.Unknown, fault.MaybeDone, ""},
	} {
		f := fault.Of(fmt.Errorf("produce: %w", error(test.err)))
		if f.Kind != test.kind || f.Sent != test.sent || f.Detail != test.detail {
			t.Errorf("%v: %v %v %q", test.err, f.Kind, f.Sent, f.Detail)
		}
	}
}

// slow wraps an error, and adds only that it took too long.
type slow struct{ error }

func (slow) Timeout() bool   { return true }
func (s slow) Unwrap() error { return s.error }

// A broker's code outranks a timeout around it.
func TestKafkaRank(t *testing.T) {
	err := slow{&kafkaError{"TOPIC_AUTHORIZATION_FAILED", 29, false}}
	if f := fault.Of(err); f.Kind != fault.Permanent || f.Detail == "" {
		t.Errorf("%v, %q", f.Kind, f.Detail)
	}
}
