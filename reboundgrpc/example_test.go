package reboundgrpc_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/reboundgrpc"
)

// flaky is a health service whose first calls fail.
type flaky struct {
	healthpb.UnimplementedHealthServer
	fail  int64
	calls atomic.Int64
}

func (f *flaky) next() error {
	if f.calls.Add(1) <= f.fail {
		return status.Error(codes.Unavailable, "warming up")
	}
	return nil
}

func (f *flaky) Check(
	context.Context, *healthpb.HealthCheckRequest,
) (*healthpb.HealthCheckResponse, error) {
	serving := healthpb.HealthCheckResponse_SERVING
	return &healthpb.HealthCheckResponse{Status: serving}, f.next()
}

func (f *flaky) Watch(
	_ *healthpb.HealthCheckRequest, w grpc.ServerStreamingServer[healthpb.HealthCheckResponse],
) error {
	if err := f.next(); err != nil {
		return err
	}
	serving := healthpb.HealthCheckResponse_SERVING
	return w.Send(&healthpb.HealthCheckResponse{Status: serving})
}

// start serves h on a free port until stop is called.
func start(h healthpb.HealthServer, opts ...grpc.ServerOption) (addr string, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(opts...)
	healthpb.RegisterHealthServer(server, h)
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), server.Stop
}

func ExampleDialOptions() {
	addr, stop := start(&flaky{fail: 2})
	defer stop()

	policy := &rebound.Policy{
		Name:           "health",
		AttemptTimeout: time.Second,
		Backoff:        backoff.Constant(time.Millisecond),
	}
	conn, err := grpc.NewClient(addr, append(reboundgrpc.DialOptions(policy),
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	client := healthpb.NewHealthClient(conn)
	reply, err := client.Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(reply.GetStatus(), err)
	// Output: SERVING <nil>
}
