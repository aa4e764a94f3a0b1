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

// goal is the state that the caller waits for. The values are in the order of a stream's progress.
type goal int

const (
	opened  goal = iota // by NewStream
	sent                // by SendMsg
	header              // by Header
	message             // by RecvMsg
)

// serverStream is a server stream that is retried until the caller has got something from it. An
// attempt begins in NewStream and continues in SendMsg and RecvMsg. So the policy's loop pauses
// whenever the caller's goal is reached.
type serverStream struct {
	opener
	policy    *rebound.Policy
	committed atomic.Pointer[streamAttempt] // the attempt whose stream the caller uses from now on

	mu   sync.Mutex // held while the loop runs; guards the fields below
	loop *pausable
	goal goal

	// req is the message of SendMsg, which every attempt sends. msg is the message of RecvMsg, and
	// empty is its state before the first attempt.
	req, msg any
	empty    original

	// at is the attempt under way, or the last one.
	at *streamAttempt

	// left is true once the caller has left the stream, or closed the connection.
	left bool

	// end is the error of a stream that is not committed. If the stream is committed and has no
	// message, end is io.EOF.
	end error

	// broken is the value of a panic in an observer after left.
	broken any
}

// advance runs the loop until the goal is reached. m is the message of the caller's method. If
// passed is not nil, another goroutine has committed this attempt in the meantime, and the caller
// must call its method instead.
func (s *serverStream) advance(g goal, m any) (passed *streamAttempt, err error) {
	before, passed, err := s.runTo(g, m)
	switch a := s.committed.Load(); {
	// The callbacks of an ended stream run without the lock.
	case a != nil:
		a.commit()
	case err != nil && before == nil:
		s.finished(err)
	}
	return passed, err
}

// runTo is advance without the callbacks. Callbacks may use the stream, so they must run without
// the lock. before and after are the values of s.end.
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
		// Every attempt sends the same message, so there can be only one.
		if s.req != nil {
			return s.end, nil, status.Error(codes.Internal, "reboundgrpc: SendMsg called twice")
		}
		s.req = m
	case message:
		s.msg, s.empty = m, originalOf(m)
	}
	s.loop.resume(true)
	// A caller that recovers from the panic must not find an open stream.
	if s.loop.exited && s.end == nil {
		s.end = status.Error(codes.Internal, "reboundgrpc: an earlier call of this stream panicked")
	}
	return before, nil, s.end
}

// run is the policy's loop. A pausable runs it on its own goroutine.
func (s *serverStream) run(pause func() bool) {
	l := rebound.Begin(s.ctx, s.policy)
	for {
		_, err := rebound.Try(&l, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, s.attempt(ctx, pause)
		})
		switch {
		case err == nil:
			l.Succeed()
			s.req, s.msg, s.empty = nil, nil, original{} // frees messages, which may be large
			s.committed.Store(s.at)
			return
		// The policy does not decide, because the caller wants no further attempt.
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

// attempt makes one attempt under ctx. It pauses whenever the caller's goal is reached.
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
	// gRPC cancels the context at the end of the stream, and the caller may cancel it at any time.
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
	// The end of a stream without messages is an answer, too.
	s.end = err
	done = true
	return nil
}

// resumed returns the context that bounds an attempt after a pause. The caller's pauses must not
// use up the attempt's time. So if the time ran out during the pause, the attempt gets its whole
// time again.
func (s *serverStream) resumed(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil || s.ctx.Err() != nil {
		return ctx, func() {}
	}
	d := s.policy.AttemptTimeout // the policy is not nil, because ctx has its own deadline
	if d == 0 {
		d = s.policy.MaxElapsed
	}
	return context.WithTimeout(s.ctx, d)
}

// send sends the request. Once sent, the message belongs to gRPC and must not change.
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
	// The stream has ended without a header, and so without a message. RecvMsg returns its status.
	return s.at.stream.RecvMsg(new(emptypb.Empty))
}

// abandon ends the loop if the context of its attempt has ended during a pause. The caller may make
// no further call, and the attempt would hold its gates for ever.
func (s *serverStream) abandon(a *streamAttempt) {
	if err := s.leave(a); err != nil {
		s.finished(err)
	}
}

// leave ends the loop and returns its error. A panic in an observer would end the program on this
// goroutine. So leave recovers it, and the caller's next method panics with it.
func (s *serverStream) leave(a *streamAttempt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A later attempt has begun, or the loop has ended by itself.
	if s.at != a || s.loop.over {
		return nil
	}
	defer func() { s.broken = recover() }()
	s.left = true
	s.loop.resume(false)
	return s.end
}

// SendMsg keeps the message for further attempts. It may be called once, as in gRPC.
func (s *serverStream) SendMsg(m any) error {
	if a := s.committed.Load(); a != nil {
		return a.stream.SendMsg(m) // gRPC returns an error for a second message
	}
	_, err := s.advance(sent, m)
	return err
}

// CloseSend does nothing, because gRPC closes the sending side of a server stream after its
// request.
func (s *serverStream) CloseSend() error { return nil }

// RecvMsg waits for the first message, through all attempts. The message of a failed attempt is
// overwritten.
func (s *serverStream) RecvMsg(m any) error {
	a := s.committed.Load()
	if a == nil {
		var err error
		if a, err = s.advance(message, m); a == nil {
			return err
		}
	}
	err := a.stream.RecvMsg(m)
	if err != nil { // the stream is over, even if a later interceptor dropped OnFinish
		a.cancel(nil)
	}
	return err
}

// Header waits for a header, through all attempts. After it has returned a header, there is no
// retry.
func (s *serverStream) Header() (metadata.MD, error) {
	if s.committed.Load() == nil {
		_, _ = s.advance(header, nil) // RecvMsg returns the error, as in gRPC
	}
	if a := s.committed.Load(); a != nil {
		return a.stream.Header()
	}
	return nil, nil
}

// Trailer returns the trailer of the last attempt.
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

// Context returns the stream's context once the stream is committed. Before that, it returns the
// caller's.
func (s *serverStream) Context() context.Context {
	if a := s.committed.Load(); a != nil {
		return a.stream.Context()
	}
	return s.ctx
}
