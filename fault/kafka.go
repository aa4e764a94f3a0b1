package fault

import "reflect"

// readKafka reads the error of franz-go's kerr by its fields. Kafka's protocol itself states for
// each code whether the same request may succeed later.
func readKafka(t reflect.Type) reader {
	code, retriable := fieldOf(t, "Code", is[int16]), fieldOf(t, "Retriable", isBool)
	message := fieldOf(t, "Message", isText)
	if code == nil || retriable == nil || message == nil {
		return nil
	}
	return func(err error) finding {
		f := kafka(code.number(err), retriable.of(err))
		if f.rank != nothing {
			f.detail = "kafka " + message.text(err)
		}
		return f
	}
}

// kafka is the meaning of a broker's code. A retriable code may come after the broker has appended
// the records, as REQUEST_TIMED_OUT does, so it proves nothing.
func kafka(code int, retriable reflect.Value) finding {
	switch {
	case code == 0 || !retriable.IsValid():
		return finding{}
	// The broker rejected the request for its quota, before it did anything.
	case code == 89: // THROTTLING_QUOTA_EXCEEDED
		return finding{rank: fact, kind: RateLimited, sent: NotDone}
	// A new leader, a coordinator that moves, too few replicas: all of these pass.
	case retriable.Bool():
		return passes
	case code < 0: // UNKNOWN_SERVER_ERROR
		return unlisted
	}
	// The request or the transaction is wrong or forbidden. The broker may have done a part of it.
	return finding{rank: fact, kind: Permanent}
}
