// Package reboundgrpc makes the calls of a gRPC client dependable, and limits those of a server.
//
//	conn, err := grpc.NewClient(target, append(reboundgrpc.DialOptions(policy), credentials)...)
//
// A [Client] retries unary calls, and server streams until their first message. It obeys the
// server's pushback (the trailer grpc-retry-pushback-ms) and its google.rpc.RetryInfo, and sends
// the metadata grpc-previous-rpc-attempts. The policy, with its budget, breaker and gates, may also
// serve other calls of the program. [UnaryServer] and [StreamServer] put a gate before a server's
// handlers.
//
// gRPC itself also retries if a service config asks for it. The attempts would multiply, so
// [DialOptions] turns gRPC's own retry off. [ServiceConfig] is for programs that prefer gRPC's own
// retry.
package reboundgrpc

import (
	"google.golang.org/grpc"

	"github.com/rebound-go/rebound"
)

// Unary returns the interceptor of a [Client] with p for unary calls. A nil p is the zero policy.
func Unary(p *rebound.Policy) grpc.UnaryClientInterceptor { return (&Client{Policy: p}).Unary }

// Stream returns the interceptor of a [Client] with p for streams. A nil p is the zero policy.
func Stream(p *rebound.Policy) grpc.StreamClientInterceptor { return (&Client{Policy: p}).Stream }

// DialOptions returns the dial options of a [Client] with p. A nil p is the zero policy.
func DialOptions(p *rebound.Policy) []grpc.DialOption { return (&Client{Policy: p}).DialOptions() }
