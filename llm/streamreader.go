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

// streamReader reads a stream and records how far it has come.
type streamReader struct {
	output, ended func(Event) bool

	body   io.ReadCloser
	parser parser
	seen   func(Event)  // is given each event but errors, if not nil
	held   []byte       // what was read before the first output
	out    bool         // output came
	done   bool         // the end mark came
	turns  map[int]bool // choices or candidates so far: whether each has its mark
	google bool         // they are candidates
	wrong  *Event       // the provider's error came
	err    error        // of body
}

// see takes one event. What comes after the end or an error is of no account.
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

// ends reports whether e is the end mark of the stream, and not only that of a candidate, after
// which there may be more of others.
func (w *streamReader) ends(e Event) bool {
	last := w.ended(e)
	// To look for a word costs less than to read the JSON of each event.
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

// turn notes a piece of the choice or candidate with the index given, and whether it is the last.
func (w *streamReader) turn(index int, last bool) {
	if w.turns == nil {
		w.turns = map[int]bool{}
	}
	w.turns[index] = w.turns[index] || last
}

// settled reports whether all choices or candidates have their marks, if there are any. A stream of
// choices has a mark of its own, too, which some servers leave out: its end has to be clean then.
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

// begin reads until there is output, or an end. Until then the stream may be repeated.
func (w *streamReader) begin() {
	buf := make([]byte, chunkSize)
	for !w.out && !w.done && w.wrong == nil && w.err == nil {
		n := w.fill(buf)
		w.held = append(w.held, buf[:n]...)
		// More is not held back: memory is bounded even if no event counts as output.
		w.out = w.out || len(w.held) > maxHeld
	}
}

// fill reads once.
//
// An error behind the last mark of Google's candidates is of no account: servers reset connections
// that they are done with.
func (w *streamReader) fill(buf []byte) (n int) {
	n, w.err = w.body.Read(buf)
	w.parser.feed(buf[:n], w.see)
	if w.err == io.EOF {
		w.finish()
	}
	// Google ends streams without a mark of their own. The marks of all candidates are as good.
	w.done = w.done || w.err != nil && w.wrong == nil && w.settled()
	return n
}

// finish looks for the end mark, or an error, in what comes after the last empty line, which some
// servers leave out at the very end. Half an event is neither.
func (w *streamReader) finish() {
	e := w.parser.rest()
	switch {
	case isDone(e), e.Name == "error" && len(e.Data) > 0:
	case !json.Valid(e.Data):
		return
	}
	c, _ := e.read()
	if w.ended(e) || failed(e) || slices.ContainsFunc(c.Choices, choice.finished) {
		w.see(e)
	}
}

// failure is why the stream failed before any output; nil if it has not.
func (w *streamReader) failure() *StreamError {
	switch {
	case w.out || w.done:
		return nil
	case w.wrong != nil:
		return &StreamError{Event: *w.wrong}
	}
	return w.broken()
}

// broken is the error that the end of the body is, if it comes too early.
func (w *streamReader) broken() *StreamError {
	switch {
	case w.err == nil, w.done, w.err == io.EOF && w.wrong != nil:
		return nil
	case w.err == io.EOF:
		return &StreamError{Err: io.ErrUnexpectedEOF, Output: w.out}
	}
	return &StreamError{Err: w.err, Output: w.out}
}

// Read gives what was held back, then the rest. An end without a mark is an error.
func (w *streamReader) Read(p []byte) (int, error) {
	if len(w.held) > 0 {
		n := copy(p, w.held)
		w.held = w.held[n:]
		return n, nil
	}
	if w.err == nil {
		if n := w.fill(p); n > 0 {
			return n, nil
		}
	}
	if broken := w.broken(); broken != nil {
		return 0, broken
	}
	if w.err != nil {
		return 0, io.EOF
	}
	return 0, nil
}

func (w *streamReader) Close() error { return w.body.Close() }

func isCut(err error) bool { return err == io.ErrUnexpectedEOF }

// StreamError is the end of a stream that failed after its response had begun with a good status.
type StreamError struct {
	// Err is what ended it: io.ErrUnexpectedEOF if there was no end mark, a timeout, the error of
	// the connection. Nil if Event did.
	Err error

	// Event is the error that the provider sent, if it did.
	Event Event

	// Output reports that output had come before, which cannot be taken back: the stream was not
	// repeated for that reason.
	Output bool
}

// Error states what ended the stream, and whether output had come before.
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
	return text + " broke: " + fmt.Sprint(e.Err) // which a typed nil survives
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

// DescribeFault returns what the provider's event means, as for [Classify], or what Err does. After
// output it is Final: another attempt would output the same again.
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

// resumable is a StreamError of a stream that can go on where it broke: what was output does not
// stand in the way of another attempt.
type resumable struct{ *StreamError }

func (e resumable) Unwrap() error { return e.StreamError }

func (e resumable) DescribeFault() fault.Fault {
	f := e.StreamError.DescribeFault()
	f.Final = false
	return f
}
