package reboundgrpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/hedge"
	"github.com/rebound-go/rebound/limit"
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

// connect returns a client of the service at addr with these options.
func connect(addr string, opts ...grpc.DialOption) (healthpb.HealthClient, func() error) {
	conn, err := grpc.NewClient(addr, append(opts,
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		panic(err)
	}
	return healthpb.NewHealthClient(conn), conn.Close
}

var (
	ctx     = context.Background()
	request = &healthpb.HealthCheckRequest{}
)

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
	reply, err := healthpb.NewHealthClient(conn).Check(ctx, request)
	fmt.Println(reply.GetStatus(), err)
	// Output: SERVING <nil>
}

// Each method has its own policy, and reads are hedged.
func ExampleClient() {
	addr, stop := start(&flaky{fail: 1})
	defer stop()

	reads := &rebound.Policy{Name: "reads", Backoff: backoff.Constant(time.Millisecond)}
	writes := &rebound.Policy{Name: "writes", NonIdempotent: true}
	slow := &hedge.Hedge{Name: "check"}
	client := &reboundgrpc.Client{
		Policy: writes,
		PolicyFor: func(method string) *rebound.Policy {
			if strings.HasPrefix(method, "/grpc.health.v1.Health/") {
				return reads
			}
			return nil // Policy
		},
		HedgeFor: func(method string) *hedge.Hedge {
			if method == healthpb.Health_Check_FullMethodName {
				return slow
			}
			return nil // none
		},
	}
	health, closeConn := connect(addr, client.DialOptions()...)
	defer func() { _ = closeConn() }()
	reply, err := health.Check(ctx, request)
	fmt.Println(reply.GetStatus(), err)
	// Output: SERVING <nil>
}

// Another interceptor may be outside, where it runs once per call, or inside, where it runs once
// per attempt.
func ExampleUnary() {
	addr, stop := start(&flaky{fail: 1})
	defer stop()

	policy := &rebound.Policy{Backoff: backoff.Constant(0)}
	health, closeConn := connect(addr, grpc.WithDisableRetry(), grpc.WithChainUnaryInterceptor(
		printing("call"), reboundgrpc.Unary(policy), printing("attempt")))
	defer func() { _ = closeConn() }()
	_, _ = health.Check(ctx, request)
	// Output:
	// attempt: Unavailable
	// attempt: OK
	// call: OK
}

// printing returns an interceptor that prints the code of the inner call.
func printing(what string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, cc, opts...)
		fmt.Printf("%s: %v\n", what, status.Code(err))
		return err
	}
}

func ExampleStream() {
	addr, stop := start(&flaky{fail: 2})
	defer stop()

	policy := &rebound.Policy{Backoff: backoff.Constant(time.Millisecond)}
	health, closeConn := connect(addr, grpc.WithDisableRetry(),
		grpc.WithStreamInterceptor(reboundgrpc.Stream(policy)))
	defer func() { _ = closeConn() }()
	stream, err := health.Watch(ctx, request)
	for err == nil {
		var m *healthpb.HealthCheckResponse
		if m, err = stream.Recv(); err == nil {
			fmt.Println(m.GetStatus())
		}
	}
	fmt.Println(err)
	// Output:
	// SERVING
	// EOF
}

func ExampleWithPolicy() {
	addr, stop := start(&flaky{fail: 2})
	defer stop()

	health, closeConn := connect(addr, reboundgrpc.DialOptions(nil)...)
	defer func() { _ = closeConn() }()
	once := reboundgrpc.WithPolicy(ctx, &rebound.Policy{Name: "probe", Attempts: 1})
	_, err := health.Check(once, request)
	var e *rebound.Error
	if errors.As(err, &e) {
		fmt.Println(status.Code(err), e.Policy, e.Attempts, e.Reason)
	}
	// Output: Unavailable probe 1 exhausted
}

func ExampleUnaryServer() {
	one := &limit.Rate{Name: "health", N: 1, Per: time.Minute}
	addr, stop := start(&flaky{},
		grpc.ChainUnaryInterceptor(reboundgrpc.UnaryServer(one)),
		grpc.ChainStreamInterceptor(reboundgrpc.StreamServer(one)),
	)
	defer stop()

	health, closeConn := connect(addr) // without retries
	defer func() { _ = closeConn() }()
	for range 2 {
		var trailer metadata.MD
		_, err := health.Check(ctx, request, grpc.Trailer(&trailer))
		fmt.Println(status.Code(err), len(trailer["grpc-retry-pushback-ms"]))
	}
	// Output:
	// OK 0
	// ResourceExhausted 1
}

func ExampleServiceConfig() {
	config, err := reboundgrpc.ServiceConfig(&rebound.Policy{
		Attempts:      4,
		NonIdempotent: true,
		Backoff:       backoff.Exponential{Base: 50 * time.Millisecond, Max: time.Second},
		MaxElapsed:    10 * time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, closeConn := connect("localhost:1", grpc.WithDefaultServiceConfig(config))
	defer func() { _ = closeConn() }()
	var text bytes.Buffer
	_ = json.Indent(&text, []byte(config), "", "  ")
	fmt.Println(text.String())
	// Output:
	// {
	//   "methodConfig": [
	//     {
	//       "name": [
	//         {}
	//       ],
	//       "timeout": "10s",
	//       "retryPolicy": {
	//         "maxAttempts": 4,
	//         "initialBackoff": "0.05s",
	//         "maxBackoff": "1s",
	//         "backoffMultiplier": 2,
	//         "retryableStatusCodes": [
	//           "ABORTED"
	//         ]
	//       }
	//     }
	//   ],
	//   "retryThrottling": {
	//     "maxTokens": 20,
	//     "tokenRatio": 0.1
	//   }
	// }
}
