package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/rebound-go/rebound"
)

// Stream reads a stream of server-sent events, for programs without an SDK. It retries until the
// first output arrives. After that, an error ends the stream, unless Resumes is set.
//
// Open should use a client without retries of its own. With a [Transport] no Stream is needed: a
// plain loop over the body is enough, because the Transport watches its streams. Any number of
// goroutines may use a Stream.
type Stream struct {
	// Open begins the stream. last is the ID of the last event that was delivered. It is empty at
	// first, and always if the stream does not resume. ctx ends with the stream.
	Open func(ctx context.Context, last string) (io.ReadCloser, error)

	// Resumes declares that Open can continue after the last event. Then a stream that breaks after
	// output is opened again. Attempts and MaxElapsed start anew, but only if there was output since
	// the last failure. An Open that fails, and a stream without output, count as failed attempts.
	Resumes bool

	// Policy is the policy of opening the stream. Its AttemptTimeout bounds the time to the first
	// output. Nil = the policy of NewPolicy, shared by all streams.
	Policy *rebound.Policy

	// IdleTimeout is the longest pause of the stream. 0 = 5 minutes.
	IdleTimeout time.Duration

	// Output reports whether an event is output, and Ended whether it marks the end. Events before
	// the first output are held back, up to 4 MiB. Nil = IsOutput and IsEnd.
	Output, Ended func(Event) bool
}

// Events opens the stream and yields its events, including the end mark. An error comes last: a
// [*rebound.Error] if the stream did not reach its first output, and otherwise a [*StreamError].
// Only reading is timed, so the loop's body may take any time. To leave the loop closes the stream.
func (s *Stream) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		r := reading{Stream: s}
		for {
			if err := r.open(ctx); err != nil {
				yield(Event{}, err)
				return
			}
			broken, more := r.deliver(yield)
			switch {
			case !more:
				return
			case !s.Resumes:
				yield(Event{}, broken)
				return
			}
			r.pending = broken
		}
	}
}

// reading is one use of a Stream. The Stream itself is only read, so that goroutines may share it.
type reading struct {
	*Stream
	last    string        // ID of the last event delivered
	pending *StreamError  // ended the stream that was open before
	w       *streamReader // the stream that is open
	queue   []Event       // read of it, not delivered
}

var errNoOpen = errors.New("llm: Stream.Open is nil: want a function that begins the stream")

// open opens the stream and reads to its first output. The failure of the stream before counts as
// the first failure of this call, so that the policy decides whether, and when, to open again.
func (r *reading) open(ctx context.Context) error {
	switch {
	case r.Open == nil:
		return &rebound.Error{Reason: rebound.Invalid, Cause: errNoOpen}
	case r.IdleTimeout < 0:
		return &rebound.Error{Reason: rebound.Invalid, Cause: fmt.Errorf(
			"llm: Stream.IdleTimeout is %v: want more than 0, or 0 for %v", r.IdleTimeout, defaultIdle)}
	}
	p := r.Policy
	if p == nil {
		p = shared
	}
	return rebound.Run(ctx, p, func(attempt context.Context) error {
		if err := r.pending; err != nil {
			r.pending = nil
			// The policy treats it like any failure, although there was output.
			return resumable{err}
		}
		return r.begin(ctx, attempt)
	})
}

// begin makes one attempt. The stream has its own context, because it outlives the attempt's.
func (r *reading) begin(ctx, attempt context.Context) error {
	own, cancel := context.WithCancelCause(ctx)
	// Until the first output, the end of the attempt ends the stream. After that only the call does.
	stop := context.AfterFunc(attempt, func() { cancel(context.Cause(attempt)) })
	body, err := r.Open(own, r.last)
	if err != nil || body == nil {
		stop()
		cancel(nil)
		return cmp.Or(err, errNoBody)
	}
	idle := r.IdleTimeout
	if idle == 0 {
		idle = defaultIdle
	}
	r.queue = nil
	r.w = &streamReader{
		output: r.Output, ended: r.Ended,
		body: &idleBody{ReadCloser: body, limit: idle, ctx: own, cancel: cancel},
		seen: func(e Event) { r.queue = append(r.queue, e) },
	}
	if r.w.output == nil {
		r.w.output = IsOutput
	}
	if r.w.ended == nil {
		r.w.ended = IsEnd
	}
	r.w.begin()
	// The events are in the queue, so the bytes are not needed.
	r.w.held = nil
	if e := r.w.failure(); e != nil {
		stop()
		_ = r.w.Close()
		return e
	}
	// The attempt's context has just ended, and has ended the stream's context too.
	if !stop() {
		_ = r.w.Close()
		return context.Cause(attempt)
	}
	return nil
}

var errNoBody = errors.New("llm: Stream.Open returned neither a stream nor an error")

// deliver yields the events that were read, and reads more. more is false if the stream is complete
// or the caller has left the loop. Otherwise broken is the error that ended the stream.
func (r *reading) deliver(yield func(Event, error) bool) (broken *StreamError, more bool) {
	defer r.w.Close()
	buf := make([]byte, chunkSize)
	for {
		for i, e := range r.queue {
			if r.Resumes && e.ID != "" {
				r.last = e.ID
			}
			if !yield(e, nil) {
				r.queue = r.queue[i:]
				return nil, false
			}
		}
		r.queue = r.queue[:0]
		switch w := r.w; {
		case w.done:
			return nil, false
		case w.wrong != nil:
			return &StreamError{Event: *w.wrong, Output: true}, true
		case w.err != nil:
			return w.broken(), true
		}
		r.w.fill(buf)
	}
}
