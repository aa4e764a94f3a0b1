// Package reboundgrpc makes the calls of a gRPC client dependable, and bounds those of a server.
//
//	conn, err := grpc.NewClient(target, append(reboundgrpc.DialOptions(policy), credentials)...)
//
// A [Client] retries unary calls, and server streams until their first message. It obeys the
// server's pushback (the trailer grpc-retry-pushback-ms) and its google.rpc.RetryInfo, and sends
// grpc-previous-rpc-attempts. The policy's budget, breaker and gates are shared with the rest of
// the program. [UnaryServer] and [StreamServer] put a gate before a server's handlers.
//
// gRPC retries by itself, too, where a service config asks for it. Both together multiply, so
// [DialOptions] switches that off. [ServiceConfig] is for programs that prefer gRPC's own retry.
package reboundgrpc

import (
	"google.golang.org/grpc"

	"github.com/rebound-go/rebound"
)

// Unary returns the interceptor of a [Client] with p (nil = the zero policy) for unary calls.
func Unary(p *rebound.Policy) grpc.UnaryClientInterceptor { return (&Client{Policy: p}).Unary }

// Stream returns the interceptor of a [Client] with p (nil = the zero policy) for streams.
func Stream(p *rebound.Policy) grpc.StreamClientInterceptor { return (&Client{Policy: p}).Stream }

// DialOptions returns the dial options of a [Client] with p (nil = the zero policy).
func DialOptions(p *rebound.Policy) []grpc.DialOption { return (&Client{Policy: p}).DialOptions() }
