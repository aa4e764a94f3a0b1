package reboundgrpc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// UnaryServer returns the interceptor of a server that handles each unary call inside g, such as a
// limit of package limit. A call may wait in the gate as long as its client does.
//
// A call that the gate rejects ends with the code RESOURCE_EXHAUSTED if the rejection is
// RateLimited, and with UNAVAILABLE otherwise, such as by a limit that is full. If the rejection
// has an After, the client gets it as the trailer grpc-retry-pushback-ms, rounded up, and in a
// google.rpc.RetryInfo. The handler is not called.
//
// The gate learns the outcome of every other call. An error is a failure with the kind that
// fault.Of has for it, except that codes about the request, such as NOT_FOUND, are successes. A
// panic is a failure of unknown kind, and a call whose client is gone is Canceled.
//
// For a limit for each tenant, call the interceptor with the gate of its key in an interceptor: it
// holds no state of its own.
func UnaryServer(g gate.Gate) grpc.UnaryServerInterceptor {
	return func(
		ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
	) (reply any, err error) {
		err = inside(ctx, g, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) },
			func() error {
				reply, err = handle(ctx, req)
				return err
			})
		return reply, err
	}
}

// StreamServer is [UnaryServer] for streams. A stream is inside the gate from its beginning to its
// end.
func StreamServer(g gate.Gate) grpc.StreamServerInterceptor {
	return func(
		srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler,
	) error {
		return inside(stream.Context(), g, stream.SetTrailer,
			func() error { return handle(srv, stream) })
	}
}

// inside handles one call inside g.
func inside(
	ctx context.Context, g gate.Gate, setTrailer func(metadata.MD), handle func() error,
) error {
	// The context ends with the client's deadline, and when the client is gone.
	pass, err := g.Enter(ctx)
	if err != nil {
		return reject(ctx, err, setTrailer)
	}
	// After a panic or a runtime.Goexit this stays the zero Outcome.
	var outcome gate.Outcome
	defer func() { g.Leave(pass, outcome) }()
	err = handle()
	outcome = outcomeOf(ctx, err)
	return err
}

// reject returns the status of a call that a gate has rejected. The rejection's text stays here, as
// it is for the people who run the server.
func reject(ctx context.Context, rejection error, setTrailer func(metadata.MD)) error {
	if ctx.Err() != nil { // the client has gone while the gate waited
		return status.FromContextError(ctx.Err()).Err()
	}
	f := fault.Of(rejection)
	st := status.New(codeOfRejection(f), "rejected by the server's limit")
	if f.After <= 0 {
		return st.Err()
	}
	ms := int64(f.After / time.Millisecond)
	if f.After%time.Millisecond > 0 { // a client that comes back too early is rejected again
		ms++
	}
	setTrailer(metadata.Pairs(pushbackKey, strconv.FormatInt(ms, 10)))
	// The detail also proves to a client that no reply of its own is behind RESOURCE_EXHAUSTED.
	info := &errdetails.RetryInfo{
		RetryDelay: durationpb.New(time.Duration(ms) * time.Millisecond),
	}
	if with, err := st.WithDetails(info); err == nil {
		st = with
	}
	return st.Err()
}

// outcomeOf is the outcome of a handler that has returned err.
func outcomeOf(ctx context.Context, err error) gate.Outcome {
	// gRPC ends the context of a call whose client is gone. Its deadline is too short an answer.
	if errors.Is(ctx.Err(), context.Canceled) {
		return gate.Outcome{Fault: fault.Fault{
			Kind: fault.Canceled, Detail: "client gone", Err: context.Cause(ctx),
		}}
	}
	if err == nil || aboutRequest(status.Code(err)) {
		return gate.Outcome{Result: gate.OK}
	}
	f := fault.Of(err)
	if f.Kind == fault.Canceled { // of a call that the handler made
		f.Kind = fault.Transient
	}
	return gate.Outcome{Fault: f}
}

// aboutRequest reports whether a server that is well answers with the code: it is to codes what 4xx
// is to the statuses of HTTP.
func aboutRequest(c codes.Code) bool {
	switch c {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied,
		codes.Unauthenticated, codes.FailedPrecondition, codes.OutOfRange, codes.Aborted,
		codes.Unimplemented:
		return true
	}
	return false
}
