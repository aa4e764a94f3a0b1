package llm

import (
	"bytes"
	"encoding/json"
)

// Event is one server-sent event, as the HTML standard has it.
type Event struct {
	Name string // its event field; empty = none, which stands for "message"
	ID   string // its id field; empty if this event has none
	Data []byte // its data fields, joined by newlines; nil if they are longer than 16 MiB
}

const maxEvent = 16 << 20

// parser cuts a stream into events. It is fed bytes as they come, in pieces of any size, and keeps
// no more than one event.
type parser struct {
	limit int    // of the bytes of an event; 0 = maxEvent
	line  []byte // the line that is not at its end yet, or what is kept of it
	long  int    // bytes of that line, kept or not
	size  int    // bytes of the event so far
	event Event
	data  bool // the event has a data field
	cr    bool // the last byte was a carriage return, which has ended a line
	begun bool // the first line is over
	bare  bool // the data are lines of JSON without a field's name
}

// feed reads p, and calls got with each event that ends in it. An event's Data is its own.
func (s *parser) feed(p []byte, got func(Event)) {
	for len(p) > 0 {
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

// keep adds p to the line. Of an event that is too long the data go, and what else is in the line
// that is too long.
func (s *parser) keep(p []byte) {
	s.long += len(p)
	s.size += len(p)
	if s.tooLong() {
		s.line, s.event.Data = nil, nil
		return
	}
	s.line = append(s.line, p...)
}

func (s *parser) tooLong() bool {
	limit := s.limit
	if limit == 0 {
		limit = maxEvent
	}
	return s.size > limit
}

func (s *parser) endLine(got func(Event)) {
	line, blank := s.line, s.long == 0
	if !s.begun {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		s.begun = true
	}
	s.line, s.long = s.line[:0], 0
	if !blank {
		s.field(line)
		// Servers that leave out the field's name leave out the empty line as well.
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

// rest is what there is of an event for whose end the stream was too short.
func (s *parser) rest() Event {
	if s.long > 0 {
		s.endLine(nil)
	}
	return s.event
}

// field reads one line: a field of the event, or a comment, whose name is empty. Beside what the
// standard knows there are servers that send an error in a field of that name, or as JSON without
// any.
func (s *parser) field(line []byte) {
	if s.tooLong() {
		s.data = true // if it was none, there is one more event that is lost
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

func (s *parser) addData(line []byte) {
	if s.data {
		s.event.Data = append(s.event.Data, '\n')
	}
	s.event.Data = append(s.event.Data, line...)
	s.data = true
}
