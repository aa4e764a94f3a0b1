package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rebound-go/rebound/fault"
)

const (
	defaultIdle = 5 * time.Minute
	maxHeld     = 4 << 20 // bytes held back before the first output
	chunkSize   = 8 << 10
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
	turns  map[int]bool // Google's candidates so far: whether each has its mark
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
	if !mentions(e.Data, `"candidates"`) {
		return last
	}
	c, _ := e.read()
	one := false
	for _, piece := range c.Candidates {
		mark := last && piece.finished()
		one = one || mark
		if w.turns == nil {
			w.turns = map[int]bool{}
		}
		w.turns[piece.Index] = w.turns[piece.Index] || mark
	}
	return last && !one
}

// settled reports whether all of Google's candidates have their marks, if there are any.
func (w *streamReader) settled() bool {
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

// finish looks for the end mark in what comes after the last empty line, which some servers leave
// out at the very end.
func (w *streamReader) finish() {
	e := w.parser.rest()
	if (isDone(e) || json.Valid(e.Data)) && w.ended(e) {
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

// idleBody is the body of a response that must not be silent for too long. Its context is that of
// the request, which ends with it.
type idleBody struct {
	io.ReadCloser
	limit  time.Duration
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (b *idleBody) Read(p []byte) (int, error) {
	if b.timer == nil {
		b.timer = time.AfterFunc(b.limit, func() { b.cancel(idleError(b.limit)) })
	} else {
		b.timer.Reset(b.limit)
	}
	n, err := b.ReadCloser.Read(p)
	// The timer runs while Read waits for data, not while the caller works with it.
	b.timer.Stop()
	if late := (idleError)(0); err != nil && err != io.EOF &&
		errors.As(context.Cause(b.ctx), &late) {
		err = late
	}
	return n, err
}

func (b *idleBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// idleError is a silence of so long.
type idleError time.Duration

func (e idleError) Error() string { return fmt.Sprintf("llm: no data for %v", time.Duration(e)) }
func (e idleError) Timeout() bool { return true }

// Is makes it a context.DeadlineExceeded, as net/http's own time-outs are.
func (e idleError) Is(target error) bool { return target == context.DeadlineExceeded }

func isCut(err error) bool { return err == io.ErrUnexpectedEOF }

// StreamError is the end of a stream that failed after its response had begun with a good status.
type StreamError struct {
	// Err is what ended it: io.ErrUnexpectedEOF if there was no end mark, a time-out, the error of
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

// DescribeFault returns what the provider's event means, as for [Classify], or what Err does.
func (e *StreamError) DescribeFault() fault.Fault {
	if e.Err == nil {
		return parse(e.Event.Data).overrule(fault.Fault{}, nil)
	}
	f := fault.Of(e.Err)
	if isCut(e.Err) {
		f.Detail = "stream cut"
	}
	return f
}
