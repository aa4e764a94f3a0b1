package reboundgrpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
)

// statusError adds a code to a call's error if the last attempt's error does not have the right
// one: a gate rejected the call, or the caller's context ended.
type statusError struct {
	err  error
	code codes.Code
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// GRPCStatus is the method through which package status reads errors.
func (e *statusError) GRPCStatus() *status.Status { return status.New(e.code, e.Error()) }

// callError returns the error of a call under ctx, with a code.
func callError(ctx context.Context, err error) error {
	var e *rebound.Error
	// An error that is not from a Loop already has a code.
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Reason == rebound.Canceled:
		return &statusError{err, codeOfEnd(ctx)}
	// The last attempt's error already has a code.
	case e.Err != nil:
		return err
	case e.Reason == rebound.PastElapsed:
		return &statusError{err, codes.DeadlineExceeded}
	// The program is at fault, not the service.
	case e.Reason == rebound.Invalid:
		return &statusError{err, codes.Internal}
	}
	return &statusError{err, codeOfRejection(fault.Of(e.Cause))}
}

// codeOfEnd returns the code for the end of ctx. The deadline is compared with the clock too,
// because the context's timer may fire late.
func codeOfEnd(ctx context.Context) codes.Code {
	deadline, ok := ctx.Deadline()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) ||
		ctx.Err() == nil && ok && time.Until(deadline) <= 0 {
		return codes.DeadlineExceeded
	}
	return codes.Canceled
}

// codeOfRejection returns the code for a rejection by a gate of the client or of the server.
func codeOfRejection(f fault.Fault) codes.Code {
	if f.Kind == fault.RateLimited {
		return codes.ResourceExhausted
	}
	return codes.Unavailable
}
