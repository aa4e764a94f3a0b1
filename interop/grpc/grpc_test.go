// Package grpc tests rebound with a real grpc-go client and server.
package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

const method = "/pay.Pay/Charge"

// payments is a service that counts how often it has charged.
type payments struct {
	charged atomic.Int32
	answer  func(n int32) (*wrapperspb.BytesValue, error)
}

// serve starts a server for p on a free port and returns a connection to it.
func (p *payments) serve(t *testing.T, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "pay.Pay", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Charge", Handler: p.charge}},
	}, p)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return dial(t, listener.Addr().String(), opts...)
}

func dial(t *testing.T, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (p *payments) charge(
	_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
) (any, error) {
	var in wrapperspb.BytesValue
	if err := decode(&in); err != nil {
		return nil, err
	}
	return p.answer(p.charged.Add(1))
}

// call charges under a NonIdempotent policy.
func call(ctx context.Context, conn *grpc.ClientConn) error {
	p := &rebound.Policy{NonIdempotent: true, Backoff: backoff.Constant(0),
		Throttled: backoff.Constant(0), Budget: budget.Unlimited}
	return rebound.Run(ctx, p, func(ctx context.Context) error {
		return conn.Invoke(ctx, method, &wrapperspb.BytesValue{Value: []byte("5")},
			&wrapperspb.BytesValue{})
	})
}

// Codes that the client itself can make prove nothing about the server.
func TestCodesOfTheClient(t *testing.T) {
	big := &wrapperspb.BytesValue{Value: make([]byte, 7<<20)}
	hang := make(chan struct{})
	defer close(hang)
	for _, row := range []struct {
		name   string
		answer func(int32) (*wrapperspb.BytesValue, error)
		opts   []grpc.DialOption
		limit  time.Duration
		want   codes.Code
	}{
		{"a reply above the client's limit", func(int32) (*wrapperspb.BytesValue, error) {
			return big, nil
		}, nil, 0, codes.ResourceExhausted},
		{"a deadline in the middle", func(int32) (*wrapperspb.BytesValue, error) {
			<-hang
			return nil, nil
		}, nil, 200 * time.Millisecond, codes.DeadlineExceeded},
		{"internal", func(int32) (*wrapperspb.BytesValue, error) {
			return nil, status.Error(codes.Internal, "after the charge")
		}, nil, 0, codes.Internal},
		{"unavailable", func(int32) (*wrapperspb.BytesValue, error) {
			return nil, status.Error(codes.Unavailable, "transport is closing")
		}, nil, 0, codes.Unavailable},
	} {
		p := &payments{answer: row.answer}
		conn := p.serve(t, row.opts...)
		ctx := t.Context()
		if row.limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, row.limit)
			defer cancel()
		}
		err := call(ctx, conn)
		var e *rebound.Error
		if !errors.As(err, &e) || status.Code(e.Err) != row.want || e.Fault.Sent != fault.MaybeDone {
			t.Errorf("%s: got %v", row.name, err)
		}
		if n := p.charged.Load(); n != 1 {
			t.Errorf("%s: charged %d times (%v)", row.name, n, err)
		}
	}
}

// A server's rejection proves that it did nothing, and its RetryInfo is obeyed.
func TestCodesOfTheServer(t *testing.T) {
	limited, err := status.New(codes.ResourceExhausted, "too many charges").WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(50 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	p := &payments{answer: func(n int32) (*wrapperspb.BytesValue, error) {
		if n < 3 {
			return nil, limited.Err()
		}
		return &wrapperspb.BytesValue{}, nil
	}}
	conn := p.serve(t)
	begin := time.Now()
	if err := call(t.Context(), conn); err != nil || p.charged.Load() != 3 {
		t.Errorf("got %v after %d calls, want success at the third", err, p.charged.Load())
	}
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("took %v, want at least twice the 50ms of RetryInfo", took)
	}
}

// The error of a grpc-go client without a server is not an answer of a server.
func TestNoServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	err = call(t.Context(), dial(t, addr))
	f := fault.Of(errors.Unwrap(err))
	if f.Kind != fault.Transient && f.Kind != fault.Overloaded || !fault.IsConnection(err) {
		t.Errorf("got %v, %v for %v", f.Kind, f.Sent, err)
	}
	if !strings.Contains(fmt.Sprint(err), "nected") && !strings.Contains(fmt.Sprint(err), "refused") {
		t.Errorf("got %v, want the dial's failure", err)
	}
}
