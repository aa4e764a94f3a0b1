package llm

import (
	"bytes"

	"github.com/rebound-go/rebound/fault"
)

// StreamError is the end of a stream that failed after its response had begun with a good status.
type StreamError struct {
	// Err is what ended it: io.ErrUnexpectedEOF if there was no end mark, a time-out, the error of
	// the connection. Nil if Event did.
	Err error

	// Event is the error that the provider sent, if it did.
	Event Event

	// Output tells that output had come before, which nobody can take back: the stream was not
	// repeated for that reason.
	Output bool
}

// Error says what ended the stream, and whether output had come before.
func (e *StreamError) Error() string {
	text := "llm: the stream"
	if e.Output {
		text += ", with output sent,"
	}
	switch {
	case e.Err == nil:
		return text + " ended with an error: " + string(bytes.TrimSpace(brief(e.Event.Data)))
	case isCut(e.Err):
		return text + " ended without its end mark: " + e.Err.Error()
	}
	return text + " broke: " + e.Err.Error()
}

// brief is at most the first 200 bytes of data.
func brief(data []byte) []byte {
	const longest = 200
	if len(data) > longest {
		return append(data[:longest:longest], "..."...)
	}
	return data
}

// Unwrap returns Err.
func (e *StreamError) Unwrap() error { return e.Err }

// DescribeFault says what the provider's event means, as [Classify] does, or what Err does.
func (e *StreamError) DescribeFault() fault.Fault {
	if e.Err == nil {
		return parse(e.Event.Data).over(fault.Fault{}, nil)
	}
	f := fault.Of(e.Err)
	if isCut(e.Err) {
		f.Detail = "stream cut"
	}
	return f
}
