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

// goal is how far the caller wants the stream to be. The values are in the order of a stream's
// progress.
type goal int

const (
	opened  goal = iota // by NewStream
	sent                // by SendMsg
	header              // by Header
	message             // by RecvMsg
)

// serverStream is a server stream that may move from attempt to attempt, until the caller has got
// something from one. An attempt begins in NewStream and continues in SendMsg and RecvMsg. So the
// policy's loop pauses whenever the caller's goal is reached.
type serverStream struct {
	opener
	policy    *rebound.Policy
	committed atomic.Pointer[streamAttempt] // the attempt that is the stream from now on

	mu   sync.Mutex // held while the loop runs; guards what follows
	loop *pausable
	goal goal

	// req is the message of SendMsg, which every attempt sends. msg is that of RecvMsg, and empty
	// its state before the first attempt.
	req, msg any
	empty    original

	// at is the attempt under way, or the last one.
	at *streamAttempt

	// left means that the caller has left the stream, or closed the connection.
	left bool

	// end is the error of a stream that is not committed. It is io.EOF for one that is committed
	// and has no message.
	end error

	// broken is the panic of an observer after left.
	broken any
}

// advance runs the loop until the goal is reached. m is the message of the caller's method. If
// passed is not nil, another caller has committed that attempt in the meantime, and the method is
// the attempt's.
func (s *serverStream) advance(g goal, m any) (passed *streamAttempt, err error) {
	before, passed, err := s.runTo(g, m)
	switch a := s.committed.Load(); {
	// The callbacks of an ended stream run here, without the lock.
	case a != nil:
		a.commit()
	case err != nil && before == nil:
		s.finished(err)
	}
	return passed, err
}

// runTo is advance without the callbacks, which may use the stream and so must run without the
// lock. before and after are the stream's end.
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
	// The stream must not look open to a caller that recovers from the panic.
	if s.loop.exited && s.end == nil {
		s.end = status.Error(codes.Internal, "reboundgrpc: the call has panicked")
	}
	return before, nil, s.end
}

// run is the policy's loop. run is the policy's loop. It runs on a goroutine of its own, in which a
// pausable holds it.
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
		// The policy is not asked: the caller wants no further attempt.
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

// attempt makes one attempt under ctx. It pauses whenever the caller wants nothing more for now.
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
	// gRPC cancels the context at the end of the stream, and the caller may do so at any time.
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
	// An end without a message is an answer too.
	s.end = err
	done = true
	return nil
}

// resumed returns the context that bounds an attempt after a pause. Time that the caller took is
// not the attempt's. If the attempt's time was up during the pause, the attempt gets it again.
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

// abandon ends the loop if the context of its attempt has ended during a pause, because the caller
// may never return. Otherwise the attempt would hold its gates for ever.
func (s *serverStream) abandon(a *streamAttempt) {
	if err := s.leave(a); err != nil {
		s.finished(err)
	}
}

// leave ends the loop and returns its error. A panic of an observer would end the program on this
// goroutine, so it is kept for the caller.
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

// SendMsg keeps the message for further attempts. A server stream has one message, as in gRPC.
func (s *serverStream) SendMsg(m any) error {
	if a := s.committed.Load(); a != nil {
		return a.stream.SendMsg(m) // gRPC has an error for a second message
	}
	_, err := s.advance(sent, m)
	return err
}

// CloseSend does nothing, because gRPC closes the sending side of a server stream after its
// message.
func (s *serverStream) CloseSend() error { return nil }

// RecvMsg waits for the first message, through all attempts. If an attempt fails after its message
// has arrived, the message is overwritten.
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

// Header waits for a header, through all attempts. The attempt whose header it returns is the last
// one.
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

// Context returns the caller's context until it is known which attempt the stream belongs to.
func (s *serverStream) Context() context.Context {
	if a := s.committed.Load(); a != nil {
		return a.stream.Context()
	}
	return s.ctx
}
