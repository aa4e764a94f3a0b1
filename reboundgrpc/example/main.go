// Example serves the health service of gRPC behind a limit, and calls it under a policy. It uses a
// free port and ends by itself, so it can be run anywhere.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundgrpc"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run starts a server and calls it.
func run(out io.Writer) error {
	// Any free port. Port 0 is any free port, so that two runs do not meet.
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	// The server takes 10 calls a second, 2 of them at once. It rejects all others, and asks their
	// clients to return when it has room.
	rate := &limit.Rate{Name: "health", N: 10, Per: time.Second, Burst: 2}
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(reboundgrpc.UnaryServer(rate)),
		grpc.ChainStreamInterceptor(reboundgrpc.StreamServer(rate)),
	)
	healthpb.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	// Stop ends the stream, which never ends by itself.
	defer server.Stop()

	// The client's policy. Each attempt has 2 s, and the call 10 s. While the breaker is open, calls
	// fail at once.
	policy := &rebound.Policy{
		Name:           "health",
		Attempts:       5,
		AttemptTimeout: 2 * time.Second,
		MaxElapsed:     10 * time.Second,
		Breaker:        &breaker.Breaker{Name: "health"},
		Observe: func(_ context.Context, e rebound.Event) {
			if e.Kind == rebound.Retrying {
				// Loggers and metrics of the other packages go here, too.
				fmt.Fprintln(out, "retrying:", e.Fault.Kind, "in attempt", e.Attempt)
			}
		},
	}
	// DialOptions installs the interceptors and turns off gRPC's own retry.
	conn, err := grpc.NewClient(listener.Addr().String(), append(reboundgrpc.DialOptions(policy),
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		return err
	}
	// Closing the connection ends the calls on it.
	defer func() { _ = conn.Close() }()
	// Generated clients use the connection as usual.
	return call(out, healthpb.NewHealthClient(conn))
}

// call makes three unary calls, and reads the first message of a stream.
func call(out io.Writer, client healthpb.HealthClient) error {
	// The deadline bounds all calls. No delay is begun that would pass it.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel() // which ends the stream
	// The third call is rejected at first. The policy retries it after the delay that the server asks
	// for.
	for range 3 {
		reply, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "check:", reply.GetStatus())
	}
	// A stream is repeated until its first message. It ends with ctx.
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	// Recv returns the first message of the first attempt that has one. Nothing more is read: the
	// context ends the stream.
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "watch:", first.GetStatus())
	return nil
}
