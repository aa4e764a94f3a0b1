package bench

import (
	"context"
	"net"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/reboundgrpc"
)

var grpcEntries = []Entry{
	{"grpc_stub_ok", "floor", Floor, "no interceptor", func() Op { return grpcStub(nil) }, nil, nil},
	{"grpc_stub_ok", "grpc-middleware", Peer, "", func() Op { return grpcStub(grpcRetry()) },
		nil, nil},
	{"grpc_stub_ok", "rebound", Ours, "", func() Op { return grpcStub(reboundUnary()) }, nil, nil},
	{"grpc_loop_ok", "floor", Floor, "no interceptor", func() Op { return grpcLoop(nil, false) },
		nil, nil},
	{"grpc_loop_ok", "grpc-middleware", Peer, "", func() Op {
		return grpcLoop(grpcRetry(), false)
	}, nil, nil},
	{"grpc_loop_ok", "rebound", Ours, "", func() Op { return grpcLoop(reboundUnary(), false) },
		nil, nil},
	{"grpc_loop_unavailable", "floor", Floor, "two calls by hand", func() Op {
		return grpcLoop(callTwice, true)
	}, nil, nil},
	{"grpc_loop_unavailable", "grpc-middleware", Peer, "", func() Op {
		return grpcLoop(grpcRetry(), true)
	}, nil, nil},
	{"grpc_loop_unavailable", "rebound", Ours, "classified", func() Op {
		return grpcLoop(reboundUnary(), true)
	}, nil, nil},
}

func reboundUnary() grpc.UnaryClientInterceptor {
	return reboundgrpc.Unary(&rebound.Policy{
		Backoff: backoff.Constant(0), Budget: budget.Unlimited,
	})
}

func grpcRetry() grpc.UnaryClientInterceptor {
	return retry.UnaryClientInterceptor(retry.WithMax(3), retry.WithCodes(codes.Unavailable),
		retry.WithBackoff(func(context.Context, uint) time.Duration { return 0 }))
}

// callTwice repeats a call that failed.
func callTwice(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
	invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if status.Code(err) == codes.Unavailable {
		err = invoke(ctx, method, req, reply, cc, opts...)
	}
	return err
}

// grpcStub is a call without a network, so that the interceptor is measured.
func grpcStub(in grpc.UnaryClientInterceptor) Op {
	req, reply := new(healthpb.HealthCheckRequest), new(healthpb.HealthCheckResponse)
	invoke := func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn,
		_ ...grpc.CallOption) error {
		_, err := work(ctx, 0)
		return err
	}
	const method = healthpb.Health_Check_FullMethodName
	return func(ctx context.Context, id int) (int, error) {
		if in == nil {
			return id + 1, invoke(ctx, method, req, reply, nil)
		}
		return id + 1, in(ctx, method, req, reply, nil, invoke)
	}
}

// grpcLoop is a call to a server on loopback. The server is never closed, because the operation
// needs it until the program ends.
func grpcLoop(in grpc.UnaryClientInterceptor, failing bool) Op {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, &healthServer{failing: failing})
	go func() { _ = server.Serve(listener) }()
	opts := []grpc.DialOption{
		grpc.WithDisableRetry(), grpc.WithTransportCredentials(insecure.NewCredentials()),
	}
	if in != nil {
		opts = append(opts, grpc.WithUnaryInterceptor(in))
	}
	conn, err := grpc.NewClient(listener.Addr().String(), opts...)
	if err != nil {
		panic(err)
	}
	client, req := healthpb.NewHealthClient(conn), new(healthpb.HealthCheckRequest)
	return func(ctx context.Context, id int) (int, error) {
		_, err := client.Check(ctx, req)
		return id + 1, err
	}
}

// healthServer answers every call, or every other call if it is failing. It must not be called
// concurrently.
type healthServer struct {
	healthpb.UnimplementedHealthServer
	failing bool
	calls   int
}

func (s *healthServer) Check(
	ctx context.Context, _ *healthpb.HealthCheckRequest,
) (*healthpb.HealthCheckResponse, error) {
	_, err := work(ctx, 0)
	if s.calls++; s.failing && s.calls%2 == 1 {
		err = status.Error(codes.Unavailable, "busy")
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, err
}
