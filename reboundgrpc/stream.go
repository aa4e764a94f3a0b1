package reboundgrpc

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/rebound-go/rebound"
)

// goal is how far the caller wants the stream to be.
type goal int

const (
	opened  goal = iota // by NewStream
	sent                // by SendMsg
	header              // by Header
	message             // by RecvMsg
)

// serverStream is a server stream whose attempts may change until the caller has seen something of
// one. The policy's loop pauses wherever the caller's goal is reached, because an attempt begins
// in NewStream and goes on in SendMsg and RecvMsg.
type serverStream struct {
	opener
	policy    *rebound.Policy
	committed atomic.Pointer[streamAttempt] // the attempt that is the stream from now on

	mu     sync.Mutex // held while the loop runs; guards what follows
	loop   *pausable
	goal   goal
	req    any      // of SendMsg
	msg    any      // of RecvMsg
	empty  original // of msg
	at     *streamAttempt
	left   bool  // the caller has left the stream, or closed the connection
	end    error // of the stream, if not committed; io.EOF if it is and has no message
	broken any   // the panic of an observer after left
}

// advance runs the loop until the goal is reached. m is the message of the caller's method. Passed
// is the attempt that another caller of advance has committed before, if not nil: the method is the
// attempt's.
func (s *serverStream) advance(g goal, m any) (passed *streamAttempt, err error) {
	before, passed, err := s.runTo(g, m)
	switch a := s.committed.Load(); {
	case a != nil:
		a.commit()
	case err != nil && before == nil:
		s.finished(err)
	}
	return passed, err
}

// runTo is advance without the callbacks, which may use the stream. Before and after are the
// stream's end.
func (s *serverStream) runTo(g goal, m any) (before error, passed *streamAttempt, after error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		panic(s.broken)
	}
	if a := s.committed.Load(); a != nil {
		return s.end, a, s.end
	}
	before = s.end
	s.goal = g
	switch g {
	case sent:
		// The message of an attempt must be that of the next one.
		if s.req != nil {
			return s.end, nil, status.Error(codes.Internal, "reboundgrpc: SendMsg called twice")
		}
		s.req = m
	case message:
		s.msg, s.empty = m, originalOf(m)
	}
	s.loop.resume(true)
	if s.loop.exited && s.end == nil {
		s.end = status.Error(codes.Internal, "reboundgrpc: the call has panicked")
	}
	return before, nil, s.end
}

// run is the policy's loop.
func (s *serverStream) run(pause func() bool) {
	l := rebound.Begin(s.ctx, s.policy)
	for {
		_, err := rebound.Try(&l, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, s.attempt(ctx, pause)
		})
		switch {
		case err == nil:
			l.Succeed()
			s.req, s.msg, s.empty = nil, nil, original{} // which may be large
			s.committed.Store(s.at)
			return
		case s.left:
			err = l.Stop(rebound.Canceled, nil)
		default:
			err = retry(&l, err)
		}
		if err != nil {
			s.end = callError(s.ctx, err)
			return
		}
		s.empty.restore()
	}
}

// attempt makes one attempt under ctx. It pauses where the caller wants no more for now.
func (s *serverStream) attempt(ctx context.Context, pause func() bool) error {
	a, err := s.open(ctx)
	if err != nil {
		return err
	}
	s.at = a
	done := false
	defer func() {
		if !done {
			a.cancel(nil)
		}
	}()
	// gRPC cancels the context at the stream's end, and the caller at any time.
	forget := context.AfterFunc(a.ctx, func() { s.abandon(a) })
	defer forget()
	for g, step := range []func() error{opened: s.send, sent: s.receive} {
		for s.goal <= goal(g) {
			if !pause() {
				a.drain()
				return errLeft(s.ctx)
			}
		}
		bound, cancel := s.resumed(ctx)
		err = a.within(bound, step)
		cancel()
		if err != nil && err != io.EOF {
			return err
		}
	}
	// An end without a message is an answer, too.
	s.end = err
	done = true
	return nil
}

// resumed returns the context that bounds an attempt after a pause. The time of the caller is not
// the attempt's: if that is up, the attempt has it anew.
func (s *serverStream) resumed(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil || s.ctx.Err() != nil {
		return ctx, func() {}
	}
	d := s.policy.AttemptTimeout // not nil, as ctx has a time of its own
	if d == 0 {
		d = s.policy.MaxElapsed
	}
	return context.WithTimeout(s.ctx, d)
}

// send sends the request. The message is gRPC's: it must not change once it has been sent.
func (s *serverStream) send() error { return s.at.stream.SendMsg(s.req) }

// receive waits for the first message or, if that is the goal, for the header.
func (s *serverStream) receive() error {
	if s.goal == message {
		return s.at.stream.RecvMsg(s.msg)
	}
	md, err := s.at.stream.Header()
	if err != nil || md != nil {
		return err
	}
	// The stream has ended without a header, and so without a message.
	return s.at.stream.RecvMsg(new(emptypb.Empty))
}

// abandon ends the loop if the context of its attempt has ended during a pause: the caller
// may never come back.
func (s *serverStream) abandon(a *streamAttempt) {
	if err := s.leave(a); err != nil {
		s.finished(err)
	}
}

// leave returns the error of a loop that it has ended. A panic of an observer would end the program
// on this goroutine, so it waits for the caller.
func (s *serverStream) leave(a *streamAttempt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != a || s.loop.over {
		return nil
	}
	defer func() { s.broken = recover() }()
	s.left = true
	s.loop.resume(false)
	return s.end
}

// SendMsg keeps the message for attempts to come. As in gRPC it is one.
func (s *serverStream) SendMsg(m any) error {
	if a := s.committed.Load(); a != nil {
		return a.stream.SendMsg(m) // gRPC has an error for a second message
	}
	_, err := s.advance(sent, m)
	return err
}

// CloseSend does nothing, as gRPC closes the sending side of a server stream after its message.
func (s *serverStream) CloseSend() error { return nil }

// RecvMsg waits for the first message through all attempts. A message that comes with an attempt
// that then fails is overwritten.
func (s *serverStream) RecvMsg(m any) error {
	a := s.committed.Load()
	if a == nil {
		var err error
		if a, err = s.advance(message, m); a == nil {
			return err
		}
	}
	err := a.stream.RecvMsg(m)
	if err != nil { // the stream is over, even if an interceptor inside has lost its OnFinish
		a.cancel(nil)
	}
	return err
}

// Header waits for a header through all attempts. The attempt whose header it returns is the last.
func (s *serverStream) Header() (metadata.MD, error) {
	if s.committed.Load() == nil {
		_, _ = s.advance(header, nil) // RecvMsg returns the error, as in gRPC
	}
	if a := s.committed.Load(); a != nil {
		return a.stream.Header()
	}
	return nil, nil
}

// Trailer returns that of the last attempt.
func (s *serverStream) Trailer() metadata.MD {
	if a := s.committed.Load(); a != nil {
		return a.stream.Trailer()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		return nil
	}
	return s.at.trailer
}

// Context returns that of the caller until the attempt is known whose stream this is.
func (s *serverStream) Context() context.Context {
	if a := s.committed.Load(); a != nil {
		return a.stream.Context()
	}
	return s.ctx
}
