package reboundgrpc

import (
	"context"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/rebound-go/rebound"
)

// opener opens the streams of one call, one after another.
type opener struct {
	ctx      context.Context // of the caller
	desc     *grpc.StreamDesc
	cc       *grpc.ClientConn
	method   string
	streamer grpc.Streamer
	opts     []grpc.CallOption
	onFinish []func(error)
	attempts int
}

// openOnly retries until a stream is open. The stream then belongs to the caller.
func (o *opener) openOnly(p *rebound.Policy) (grpc.ClientStream, error) {
	a, err := rebound.Do(o.ctx, p, o.open)
	if err != nil {
		err = callError(o.ctx, err)
		o.finished(err)
		return nil, err
	}
	// The stream is returned only after the attempt has left the policy's gates.
	a.commit()
	return a.stream, nil
}

// finished calls the callbacks of grpc.OnFinish, once per call.
func (o *opener) finished(err error) {
	for _, f := range o.onFinish {
		f(err)
	}
}

// streamAttempt is a stream with its own context. An attempt's context ends with the attempt, but
// the stream may continue.
type streamAttempt struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	stream grpc.ClientStream
	call   *opener

	// trailer is the trailer of a failed stream.
	trailer metadata.MD

	// mu guards the fields below, because gRPC calls end on another goroutine.
	mu sync.Mutex

	// ended is the number of streams with the attempt's options that gRPC has ended, and err the error
	// of the last.
	ended int
	err   error

	// committed is true once the stream belongs to the caller.
	committed bool
}

// open opens a stream within ctx. The stream's own context is derived from the caller's, and ends
// with the stream.
func (o *opener) open(ctx context.Context) (*streamAttempt, error) {
	a := &streamAttempt{call: o}
	a.ctx, a.cancel = context.WithCancelCause(o.ctx)
	done := false
	defer func() {
		if !done {
			a.cancel(nil)
		}
	}()
	// The stream must not have the deadline of ctx, because the server would end the stream at that
	// time.
	own := withPrevious(a.ctx, o.attempts)
	o.attempts++
	resetOutputs(o.opts)
	opts := append(o.opts[:len(o.opts):len(o.opts)], grpc.OnFinish(a.end))
	err := a.within(ctx, func() error {
		stream, err := o.streamer(own, o.desc, o.cc, o.method, opts...)
		// Interceptors may wrap a stream before they look at the error, so a stream with an error is not
		// used.
		if err == nil {
			a.stream = stream
		}
		return err
	})
	done = err == nil
	// A count of 1 shows that gRPC itself failed, and not a later interceptor.
	if err != nil && a.stream == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		return nil, failure(err, nil, a.ended == 1)
	}
	return a, err
}

// within runs step, and ends the attempt if ctx ends in the meantime.
func (a *streamAttempt) within(ctx context.Context, step func() error) error {
	stop := context.AfterFunc(ctx, func() { a.cancel(context.Cause(ctx)) })
	err := step()
	// ctx ended before the step returned, so the stream is canceled and cannot be used. The trailer is
	// not read, because gRPC may still be writing it.
	if !stop() && err == nil {
		a.drain()
		return status.FromContextError(ctx.Err()).Err()
	}
	return a.failure(ctx, err)
}

// drain waits until gRPC has ended a stream whose context has ended. Until then gRPC may write to
// the outputs of call options, which the next attempt or the caller uses.
func (a *streamAttempt) drain() {
	if a.stream == nil {
		return
	}
	// The type of the messages is unknown here, and a codec may panic for another type.
	defer func() { _ = recover() }()
	for a.stream.RecvMsg(new(emptypb.Empty)) == nil {
		continue
	}
}

// failure returns err with the facts about the attempt.
func (a *streamAttempt) failure(ctx context.Context, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	// The attempt was canceled by its own timeout, not by the caller.
	if status.Code(err) == codes.Canceled && ctx.Err() != nil && a.call.ctx.Err() == nil {
		err = status.FromContextError(ctx.Err()).Err() // a timeout canceled it
	}
	if a.stream != nil {
		a.trailer = a.stream.Trailer()
	}
	return failure(err, a.trailer, false)
}

// end is the function that gRPC calls when the stream is over.
func (a *streamAttempt) end(err error) {
	a.mu.Lock()
	a.ended++
	a.err = err
	committed := a.committed
	a.mu.Unlock()
	a.cancel(nil)
	// Before the commit, only an attempt has ended, and the call may continue.
	if committed {
		a.call.finished(err)
	}
}

// commit hands the stream to the caller. Further calls do nothing.
func (a *streamAttempt) commit() {
	a.mu.Lock()
	over, err := a.ended > 0 && !a.committed, a.err
	a.committed = true
	a.mu.Unlock()
	if over {
		a.call.finished(err)
	}
}

// errLeft returns the error of an attempt whose call was ended by the caller's context, or by the
// end of the connection.
func errLeft(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Canceled, "the connection was closed")
}
