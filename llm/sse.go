package llm

import "bytes"

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
		return
	}
	e, complete := s.event, s.data
	s.event, s.data, s.size = Event{}, false, 0
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

// field reads one line: a field of the event, or a comment, whose name is empty.
func (s *parser) field(line []byte) {
	if s.tooLong() {
		s.data = true // if it was none, there is one more event that nobody can read
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		s.event.Name = string(value)
	case "id":
		s.event.ID = string(value)
	case "data":
		if s.data {
			s.event.Data = append(s.event.Data, '\n')
		}
		s.event.Data = append(s.event.Data, value...)
		s.data = true
	}
}
