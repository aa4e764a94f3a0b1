package reboundgrpc

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/hedge"
)

// unary is one call. One goroutine uses it, except in a hedged attempt.
type unary struct {
	policy     *rebound.Policy
	hedge      *hedge.Hedge // nil = none
	method     string
	req, reply any
	cc         *grpc.ClientConn
	invoke     grpc.UnaryInvoker
	opts       []grpc.CallOption
	original   original // of reply
	attempts   int
}

// call makes the call. It uses a Loop and not rebound.Do, because pushback replaces the policy's
// delay.
func (u *unary) call(ctx context.Context, p *rebound.Policy) error {
	l := rebound.Begin(ctx, p)
	u.original = originalOf(u.reply)
	for {
		var err, stop error
		if u.hedge == nil {
			_, err = rebound.Try(&l, u.attempt)
		} else if err, stop = u.hedged(ctx, &l); stop != nil {
			return callError(ctx, stop)
		}
		if err == nil {
			l.Succeed()
			return nil
		}
		if stop := retry(&l, err); stop != nil {
			return callError(ctx, stop)
		}
		// A codec may merge into the reply, so the reply of the failed attempt is removed.
		u.original.restore()
	}
}

func (u *unary) attempt(ctx context.Context) (struct{}, error) {
	ctx = withPrevious(ctx, u.attempts)
	u.attempts++
	// If no stream is opened for the attempt, gRPC does not overwrite the outputs of the attempt
	// before.
	resetOutputs(u.opts)
	var w wire
	return struct{}{}, w.invoke(ctx, u, u.reply, u.opts)
}

// wire holds what gRPC reports about one attempt.
type wire struct {
	trailer metadata.MD
	ended   int // the number of attempts with these options that gRPC has ended
}

// noStream is the value of the trailer until gRPC sets it, which it does only if there was a
// stream. No server can send this key.
var noStream = metadata.MD{"": nil}

func (w *wire) invoke(
	ctx context.Context, u *unary, reply any, opts []grpc.CallOption,
) error {
	// gRPC sets the trailers of all options, so these do not replace the caller's.
	w.trailer = noStream
	err := u.invoke(ctx, u.method, u.req, reply, u.cc,
		append(opts[:len(opts):len(opts)], grpc.Trailer(&w.trailer),
			grpc.OnFinish(func(error) { w.ended++ }))...)
	if err == nil {
		return nil
	}
	// Without a stream, gRPC has not set the trailer.
	_, untouched := w.trailer[""]
	// Later interceptors may make their own calls with these options. Then the count is not 1.
	return failure(err, w.trailer, untouched && w.ended == 1 && u.disabled())
}

// disabled reports whether gRPC's own retry is off. If it is on, gRPC may have opened a stream for
// its own earlier attempt.
func (u *unary) disabled() bool {
	// DialOptions puts the mark into the default call options, so every call of the connection has it.
	return slices.ContainsFunc(u.opts, func(o grpc.CallOption) bool {
		_, ok := o.(retryDisabled)
		return ok
	})
}

// retryDisabled marks the calls of connections on which gRPC's own retry is off. A mark is needed
// because the options of a connection cannot be read.
type retryDisabled struct{ grpc.EmptyCallOption }

// resetOutputs clears the outputs that options have received from an earlier attempt.
func resetOutputs(opts []grpc.CallOption) {
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			*o.HeaderAddr = nil
		case grpc.TrailerCallOption:
			*o.TrailerAddr = nil
		case grpc.PeerCallOption:
			*o.PeerAddr = peer.Peer{}
		}
	}
}
