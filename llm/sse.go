package llm

import (
	"bytes"
	"encoding/json"
)

// Event is one server-sent event, as the HTML standard defines it.
type Event struct {
	// Name is the event field. Empty = none, which stands for "message".
	Name string

	// ID is the id field of this event. Empty = none; the ID of an earlier event is not repeated.
	ID string

	// Data is the data fields, joined by newlines. Nil if the event is longer than 16 MiB.
	Data []byte
}

// maxEvent is the largest event that is kept, in bytes. It is far above any text, and holds a
// picture.
const maxEvent = 16 << 20

// parser splits a stream into events. It gets the bytes as they arrive, in pieces of any size, and
// keeps no more than one event.
type parser struct {
	limit int    // of the bytes of an event; 0 = maxEvent
	line  []byte // the kept part of the unfinished line
	long  int    // bytes of that line, kept or not
	size  int    // bytes of the event so far
	event Event
	data  bool // the event has a data field
	cr    bool // the last byte was a carriage return, which has ended a line
	begun bool // the first line is over
	bare  bool // the data are lines of JSON without a field's name
}

// feed reads p and calls got with each event that ends in it. The parser does not reuse an event's
// Data.
func (s *parser) feed(p []byte, got func(Event)) {
	for len(p) > 0 {
		// The standard allows CR, LF and CRLF. A CRLF may be split between two calls, so a CR ends the
		// line at once and an LF right after it is skipped.
		if s.cr && p[0] == '\n' {
			p = p[1:]
			s.cr = false
			continue
		}
		s.cr = false
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			s.keep(p)
			return
		}
		s.keep(p[:i])
		s.cr = p[i] == '\r'
		p = p[i+1:]
		s.endLine(got)
	}
}

// keep adds p to the line. If the event is too long, its data and the current line are dropped.
func (s *parser) keep(p []byte) {
	s.long += len(p)
	s.size += len(p)
	if s.tooLong() {
		s.line, s.event.Data = nil, nil
		return
	}
	s.line = append(s.line, p...)
}

// tooLong reports whether the event is above the limit. A body that never ends a line must not fill
// the memory.
func (s *parser) tooLong() bool {
	limit := s.limit
	if limit == 0 {
		limit = maxEvent
	}
	return s.size > limit
}

// endLine reads the line that just ended. An empty line completes the event.
func (s *parser) endLine(got func(Event)) {
	line, blank := s.line, s.long == 0
	if !s.begun {
		// A byte order mark may stand before the first line only.
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		s.begun = true
	}
	s.line, s.long = s.line[:0], 0
	if !blank {
		s.field(line)
		// Servers that omit the field's name omit the empty line as well, so whole JSON completes the
		// event.
		if !s.bare || got == nil || !bytes.HasSuffix(line, []byte("}")) || !json.Valid(s.event.Data) {
			return
		}
	}
	e, complete := s.event, s.data
	s.event, s.data, s.size, s.bare = Event{}, false, 0, false
	if complete {
		got(e)
	}
}

// rest returns the unfinished event at the end of the stream.
func (s *parser) rest() Event {
	if s.long > 0 {
		s.endLine(nil)
	}
	return s.event
}

// field reads one line: a field of the event, or a comment, whose name is empty. Beyond the
// standard, some servers send an error in a field called error, or as JSON without a field name.
func (s *parser) field(line []byte) {
	if s.tooLong() {
		// A lost event is still reported, with nil Data: it may have been output, or the end mark.
		s.data = true
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "error": // LiteLLM and some gateways
		s.event.Name = "error"
		s.addData(value)
		return
	case "", "event", "id", "data", "retry":
		if s.bare { // that JSON broke off
			s.event.Data, s.data, s.bare = nil, false, false
		}
	// Other fields are ignored, as the standard requires, unless the line is JSON without a field
	// name.
	default:
		if s.bare || !s.data && line[0] == '{' {
			s.bare = true
			s.addData(line)
		}
		return
	}
	switch string(name) {
	case "event":
		s.event.Name = string(value)
	case "id":
		s.event.ID = string(value)
	case "data":
		s.addData(value)
	}
}

// addData adds a line to the data. The standard joins data lines with a newline.
func (s *parser) addData(line []byte) {
	if s.data {
		s.event.Data = append(s.event.Data, '\n')
	}
	s.event.Data = append(s.event.Data, line...)
	s.data = true
}
