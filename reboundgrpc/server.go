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
// limit of package limit. A call may wait in the gate until its client gives up.
//
// A call that the gate rejects ends with the code RESOURCE_EXHAUSTED if the rejection is
// RateLimited, and with UNAVAILABLE otherwise, such as from a concurrency limit that is full. If
// the rejection has an After, the client gets it, rounded up to a millisecond, in the trailer
// grpc-retry-pushback-ms and in a google.rpc.RetryInfo. The handler is not called.
//
// The gate gets the outcome of every call that it admits. An error is a failure of the kind that
// fault.Of returns, but codes about the request, such as NOT_FOUND, count as successes. A panic is
// a failure of unknown kind. A call whose client has disconnected is Canceled.
//
// The interceptor keeps no state. For a limit per tenant, call UnaryServer inside an interceptor,
// with the gate of the tenant.
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

// StreamServer is [UnaryServer] for streams. A stream is inside the gate from its start to its end.
func StreamServer(g gate.Gate) grpc.StreamServerInterceptor {
	return func(
		srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler,
	) error {
		return inside(stream.Context(), g, stream.SetTrailer,
			func() error { return handle(srv, stream) })
	}
}

// inside handles one call inside g. StreamServer and UnaryServer share it.
func inside(
	ctx context.Context, g gate.Gate, setTrailer func(metadata.MD), handle func() error,
) error {
	// The context ends at the client's deadline, and when the client disconnects.
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

// reject returns the status of a call that a gate has rejected. The error's text is not sent,
// because it is meant for the people who run the server.
func reject(ctx context.Context, rejection error, setTrailer func(metadata.MD)) error {
	if ctx.Err() != nil { // the client has gone while the gate waited
		return status.FromContextError(ctx.Err()).Err()
	}
	f := fault.Of(rejection)
	st := status.New(codeOfRejection(f), "rejected by the server's limit")
	// Without a time there is nothing to ask for, and the client's policy decides.
	if f.After <= 0 {
		return st.Err()
	}
	ms := int64(f.After / time.Millisecond)
	if f.After%time.Millisecond > 0 { // a client that comes back too early is rejected again
		ms++
	}
	setTrailer(metadata.Pairs(pushbackKey, strconv.FormatInt(ms, 10)))
	// The detail also proves to a client that a server rejected the call. Clients make
	// RESOURCE_EXHAUSTED themselves for messages that are too large.
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

// aboutRequest reports whether a healthy server sends the code, as HTTP servers send a 4xx.
func aboutRequest(c codes.Code) bool {
	switch c {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied,
		codes.Unauthenticated, codes.FailedPrecondition, codes.OutOfRange, codes.Aborted,
		codes.Unimplemented:
		return true
	}
	return false
}
