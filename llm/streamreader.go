package llm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/rebound-go/rebound/fault"
)

const (
	defaultHeader = 10 * time.Minute
	defaultIdle   = 5 * time.Minute
	maxHeld       = 4 << 20 // bytes held back before the first output
	chunkSize     = 8 << 10
)

// streamReader reads a stream and records how far it has come. One goroutine uses it.
type streamReader struct {
	output, ended func(Event) bool

	body   io.ReadCloser
	parser parser
	seen   func(Event)  // gets each event but errors, if not nil
	held   []byte       // what was read before the first output
	out    bool         // output came
	done   bool         // the end mark came
	turns  map[int]bool // choices or candidates so far: whether each has its mark
	google bool         // they are candidates
	wrong  *Event       // the provider's error came
	err    error        // of body
}

// see handles one event. Anything after the end mark or an error is ignored.
func (w *streamReader) see(e Event) {
	switch {
	case w.done || w.wrong != nil:
	case failed(e):
		w.wrong = &e
	default:
		w.done = w.ends(e)
		w.out = w.out || w.output(e)
		if w.seen != nil {
			w.seen(e)
		}
	}
}

// ends reports whether e is the end mark of the whole stream. The mark of one candidate is not:
// events of others may follow it.
func (w *streamReader) ends(e Event) bool {
	last := w.ended(e)
	// Searching for a word costs less than decoding the JSON of each event.
	if !mentions(e.Data, `"candidates"`, `"choices"`) {
		return last
	}
	c, _ := e.read()
	for _, piece := range c.Choices {
		w.turn(piece.Index, piece.finished())
	}
	one := false
	for _, piece := range c.Candidates {
		mark := last && piece.finished()
		one, w.google = one || mark, true
		w.turn(piece.Index, mark)
	}
	return last && !one
}

// turn records a piece of the choice or candidate with that index, and whether the piece is the
// last.
func (w *streamReader) turn(index int, last bool) {
	if w.turns == nil {
		w.turns = map[int]bool{}
	}
	w.turns[index] = w.turns[index] || last
}

// settled reports whether all choices or candidates have their marks, if there are any. A stream of
// choices also has an end mark. Some servers omit it, and then the stream must end cleanly.
func (w *streamReader) settled() bool {
	if !w.google && w.err != io.EOF {
		return false
	}
	for _, mark := range w.turns {
		if !mark {
			return false
		}
	}
	return len(w.turns) > 0
}

// begin reads until there is output, an end or an error. Until then the stream may be repeated.
func (w *streamReader) begin() {
	buf := make([]byte, chunkSize)
	for !w.out && !w.done && w.wrong == nil && w.err == nil {
		n := w.fill(buf)
		w.held = append(w.held, buf[:n]...)
		// Nothing more is held back, so that memory is bounded even if no event counts as output.
		w.out = w.out || len(w.held) > maxHeld
	}
}

// fill reads once. An error after the last mark of Google's candidates is ignored, because servers
// reset connections that they have finished with.
func (w *streamReader) fill(buf []byte) (n int) {
	n, w.err = w.body.Read(buf)
	w.parser.feed(buf[:n], w.see)
	if w.err == io.EOF {
		w.finish()
	}
	// Google ends streams without an end mark. The marks of all candidates serve instead.
	w.done = w.done || w.err != nil && w.wrong == nil && w.settled()
	return n
}

// finish looks for the end mark, or an error, after the last empty line. Some servers omit the
// empty line at the very end. Half an event counts as neither.
func (w *streamReader) finish() {
	e := w.parser.rest()
	switch {
	// [DONE] is not JSON, and the text of an error need not be.
	case isDone(e), e.Name == "error" && len(e.Data) > 0:
	case !json.Valid(e.Data):
		return
	}
	c, _ := e.read()
	if w.ended(e) || failed(e) || slices.ContainsFunc(c.Choices, choice.finished) {
		w.see(e)
	}
}

// failure is why the stream failed before any output, or nil.
func (w *streamReader) failure() *StreamError {
	switch {
	case w.out || w.done:
		return nil
	case w.wrong != nil:
		return &StreamError{Event: *w.wrong}
	}
	return w.broken()
}

// broken is the error of a body that ended too early, or nil.
func (w *streamReader) broken() *StreamError {
	switch {
	case w.err == nil, w.done, w.err == io.EOF && w.wrong != nil:
		return nil
	case w.err == io.EOF:
		return &StreamError{Err: io.ErrUnexpectedEOF, Output: w.out}
	}
	return &StreamError{Err: w.err, Output: w.out}
}

// Read returns what was held back, then the rest. An end without a mark is an error.
func (w *streamReader) Read(p []byte) (int, error) {
	if len(w.held) > 0 {
		n := copy(p, w.held)
		w.held = w.held[n:]
		return n, nil
	}
	if w.err == nil {
		// The data go to the caller first. The error is returned by the next Read.
		if n := w.fill(p); n > 0 {
			return n, nil
		}
	}
	if broken := w.broken(); broken != nil {
		return 0, broken
	}
	// An end after the mark is a plain end, even if the connection was reset.
	if w.err != nil {
		return 0, io.EOF
	}
	return 0, nil
}

func (w *streamReader) Close() error { return w.body.Close() }

// isCut reports whether a stream ended without an error and without its end mark. Without a check
// for the mark such a stream would look like a short answer.
func isCut(err error) bool { return err == io.ErrUnexpectedEOF }

// StreamError is the failure of a stream whose response had a good status.
type StreamError struct {
	// Err is what ended the stream: io.ErrUnexpectedEOF if there was no end mark, a timeout, or the
	// error of the connection. Nil if Event ended it.
	Err error

	// Event is the error that the provider sent, if it sent one.
	Event Event

	// Output reports whether the caller already had output. Such a stream was not retried, because
	// output cannot be taken back.
	Output bool
}

// Error states what ended the stream, and whether the caller already had output.
func (e *StreamError) Error() string {
	text := "llm: the stream"
	if e.Output {
		text += ", after output,"
	}
	switch {
	case e.Err == nil:
		return text + " ended with an error: " + string(bytes.TrimSpace(brief(e.Event.Data)))
	case isCut(e.Err):
		return text + " ended without its end mark: " + e.Err.Error()
	}
	return text + " broke: " + fmt.Sprint(e.Err) // because a typed nil may panic
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

// DescribeFault returns what the provider's event means, as [Classify] would, or what Err means.
// After output the fault is Final, because another attempt would repeat the output.
func (e *StreamError) DescribeFault() fault.Fault {
	var f fault.Fault
	if e.Err == nil {
		f = parse(e.Event.Data).overrule(fault.Fault{}, nil)
	} else {
		f = fault.Of(e.Err)
	}
	if isCut(e.Err) {
		f.Detail = "stream cut"
	}
	f.Final = f.Final || e.Output
	return f
}

// resumable is the StreamError of a stream that can continue where it broke, so that output does
// not prevent another attempt.
type resumable struct{ *StreamError }

func (e resumable) Unwrap() error { return e.StreamError }

func (e resumable) DescribeFault() fault.Fault {
	f := e.StreamError.DescribeFault()
	f.Final = false
	return f
}
