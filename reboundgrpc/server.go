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

// UnaryServer returns a server's interceptor, which passes each unary call through the gate g, such
// as a limit of package limit. A call may wait in the gate until its context ends.
//
// If the gate rejects a call, the handler is not called. The code is RESOURCE_EXHAUSTED if the
// rejection is RateLimited, and UNAVAILABLE otherwise, for example if a concurrency limit is full.
// If the rejection has an After, the client gets it in the trailer grpc-retry-pushback-ms and in a
// google.rpc.RetryInfo, rounded up to a millisecond.
//
// The gate gets the outcome of every call that it admits. An error is a failure of the kind that
// fault.Of returns. Exceptions are codes about the request, such as NOT_FOUND, which count as
// successes. A panic is a failure of unknown kind. A call whose client has disconnected is
// Canceled.
//
// The interceptor keeps no state. For a limit per tenant, write an interceptor that calls
// UnaryServer with the gate of the tenant.
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

// StreamServer is [UnaryServer] for streams. A stream leaves the gate when it ends.
func StreamServer(g gate.Gate) grpc.StreamServerInterceptor {
	return func(
		srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler,
	) error {
		return inside(stream.Context(), g, stream.SetTrailer,
			func() error { return handle(srv, stream) })
	}
}

// inside passes one call through g. UnaryServer and StreamServer share it.
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
	if ctx.Err() != nil { // the client disconnected while the call waited in the gate
		return status.FromContextError(ctx.Err()).Err()
	}
	f := fault.Of(rejection)
	st := status.New(codeOfRejection(f), "rejected by the server's limit")
	// Without an After, the client's own policy decides on the delay.
	if f.After <= 0 {
		return st.Err()
	}
	ms := int64(f.After / time.Millisecond)
	if f.After%time.Millisecond > 0 { // a client that retries too early is rejected again
		ms++
	}
	setTrailer(metadata.Pairs(pushbackKey, strconv.FormatInt(ms, 10)))
	// The detail also proves to a client that the server rejected the call. gRPC's client itself
	// returns RESOURCE_EXHAUSTED for messages that are too large.
	info := &errdetails.RetryInfo{
		RetryDelay: durationpb.New(time.Duration(ms) * time.Millisecond),
	}
	if with, err := st.WithDetails(info); err == nil {
		st = with
	}
	return st.Err()
}

// outcomeOf returns the outcome of a handler that has returned err.
func outcomeOf(ctx context.Context, err error) gate.Outcome {
	// gRPC cancels the context of a call whose client has disconnected. A deadline that has passed is
	// not a cancellation.
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
