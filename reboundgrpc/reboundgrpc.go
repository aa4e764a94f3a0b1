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
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	"github.com/rebound-go/rebound"
)

// Client holds the interceptors of a client, and how they treat its calls. The zero Client is
// ready. Once in use it must not be copied, nor its fields changed. One Client may serve several
// connections.
type Client struct {
	// Policy is how failures are handled. Nil = the zero policy.
	Policy *rebound.Policy

	// PolicyFor returns the policy of a method, such as "/orders.Orders/Create". It is called once
	// per call, and must return the same policy every time. If it is nil, or returns nil, Policy
	// counts.
	PolicyFor func(method string) *rebound.Policy

	derived sync.Map // from *rebound.Policy, if it has a Classify
}

// Unary returns the interceptor of a [Client] with p (nil = the zero policy) for unary calls.
func Unary(p *rebound.Policy) grpc.UnaryClientInterceptor { return (&Client{Policy: p}).Unary }

// Stream returns the interceptor of a [Client] with p (nil = the zero policy) for streams.
func Stream(p *rebound.Policy) grpc.StreamClientInterceptor { return (&Client{Policy: p}).Stream }

// DialOptions returns the dial options of a [Client] with p (nil = the zero policy).
func DialOptions(p *rebound.Policy) []grpc.DialOption { return (&Client{Policy: p}).DialOptions() }

// DialOptions returns the options that make a connection use c: its interceptors, and
// grpc.WithDisableRetry, so that calls are not retried twice over. Interceptors of options before
// these run once per call, those of options after these once per attempt.
func (c *Client) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDisableRetry(),
		grpc.WithChainUnaryInterceptor(c.Unary),
		grpc.WithChainStreamInterceptor(c.Stream),
	}
}

// Validate returns an error that names the first invalid field and a valid value. Policies of
// PolicyFor are not known here.
func (c *Client) Validate() error {
	if err := c.Policy.Validate(); err != nil {
		return fmt.Errorf("reboundgrpc: Client.Policy: %w", err)
	}
	return nil
}

type policyKey struct{}

// WithPolicy returns a context whose calls go by p (nil = the zero policy) instead of that of the
// [Client]. Calls that other calls make with this context do, too.
func WithPolicy(ctx context.Context, p *rebound.Policy) context.Context {
	return context.WithValue(ctx, policyKey{}, p)
}

// policy returns the policy of a call.
func (c *Client) policy(ctx context.Context, method string) *rebound.Policy {
	if p, ok := ctx.Value(policyKey{}).(*rebound.Policy); ok {
		return derive(p)
	}
	p := c.Policy
	if c.PolicyFor != nil {
		if of := c.PolicyFor(method); of != nil {
			p = of
		}
	}
	if p == nil || p.Classify == nil {
		return p
	}
	d, ok := c.derived.Load(p)
	if !ok {
		d, _ = c.derived.LoadOrStore(p, derive(p))
	}
	return d.(*rebound.Policy)
}
