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

// unary is one call. It is used by one goroutine, except for the legs of a hedged attempt.
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

// call makes the call. It uses a Loop and not rebound.Do, because pushback replaces the delay that
// the policy decides on.
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
		// A codec may merge into the reply, so what the failed attempt has decoded is removed.
		u.original.restore()
	}
}

func (u *unary) attempt(ctx context.Context) (struct{}, error) {
	ctx = withPrevious(ctx, u.attempts)
	u.attempts++
	// An attempt for which no stream is opened would leave the outputs of the attempt before.
	resetOutputs(u.opts)
	var w wire
	return struct{}{}, w.invoke(ctx, u, u.reply, u.opts)
}

// wire is what gRPC reports about one attempt.
type wire struct {
	trailer metadata.MD
	ended   int // how often gRPC ended an attempt with these options
}

// noStream is the trailer before gRPC sets it, which happens only if there was a stream. No server
// can send this key.
var noStream = metadata.MD{"": nil}

func (w *wire) invoke(
	ctx context.Context, u *unary, reply any, opts []grpc.CallOption,
) error {
	// Both options come after the caller's. gRPC sets the trailers of all options.
	w.trailer = noStream
	err := u.invoke(ctx, u.method, u.req, reply, u.cc,
		append(opts[:len(opts):len(opts)], grpc.Trailer(&w.trailer),
			grpc.OnFinish(func(error) { w.ended++ }))...)
	if err == nil {
		return nil
	}
	// An attempt that was never sent has no stream, so gRPC has not set the trailer.
	_, untouched := w.trailer[""]
	// Other interceptors may have made calls of their own with these options. The count reveals that.
	return failure(err, w.trailer, untouched && w.ended == 1 && u.disabled())
}

// disabled reports whether gRPC's own retry is off. Otherwise gRPC may have opened a stream for an
// attempt before the last one.
func (u *unary) disabled() bool {
	// DialOptions puts the mark into the default call options, so it is among those of every call.
	return slices.ContainsFunc(u.opts, func(o grpc.CallOption) bool {
		_, ok := o.(retryDisabled)
		return ok
	})
}

// retryDisabled is an option of all calls on connections on which gRPC's own retry is off. It
// serves as a mark, because the options of a connection cannot be read.
type retryDisabled struct{ grpc.EmptyCallOption }

// resetOutputs clears what options have received from an earlier attempt.
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
