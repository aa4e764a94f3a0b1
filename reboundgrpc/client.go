package reboundgrpc

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/hedge"
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

	// HedgeFor returns the hedge of a unary method, or nil: a second attempt begins beside one that
	// has not answered in time, and the first answer wins. The losers are canceled. Calls by a
	// policy that is NonIdempotent are never hedged. Attempts of one call share its request, which
	// interceptors must not change. Nil = none.
	HedgeFor func(method string) *hedge.Hedge

	plans sync.Map // from *rebound.Policy to *plan
}

// Unary is the grpc.UnaryClientInterceptor of c. Its errors hold a [rebound.Error] and the status
// of the last attempt, for package status. A rejection by a breaker or a limit has the code
// RESOURCE_EXHAUSTED or UNAVAILABLE, and the end of the caller's context that of the context.
//
// Each attempt has a context of its own, with the deadline of the policy's AttemptTimeout. Options
// such as grpc.Header describe the last attempt; a grpc.OnFinish is called once per call.
func (c *Client) Unary(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
	invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	pl := c.plan(ctx, method)
	u := unary{
		policy: pl.policy, method: method, req: req, reply: reply, cc: cc, invoke: invoke,
	}
	var onFinish []func(error)
	u.opts, onFinish = splitOnFinish(opts)
	p := u.policy
	if c.HedgeFor != nil && (p == nil || !p.NonIdempotent) && hedgeable(reply) {
		if u.hedge = c.HedgeFor(method); u.hedge != nil {
			p = pl.around()
		}
	}
	// After the whole call, and not after each attempt, as gRPC would.
	err := u.call(ctx, p)
	for _, f := range onFinish {
		f(err)
	}
	return err
}

// Stream is the grpc.StreamClientInterceptor of c. Its errors are like those of [Client.Unary].
//
// A server stream is repeated, request included, until the caller has seen something of it: its
// first message, its end, or its header by Header. What fails later is the caller's. The attempt
// ends there, too: for the policy's gates and breaker, for AttemptTimeout and MaxElapsed. The
// stream goes on under the caller's context. As gRPC asks for, the caller reads the stream to its
// end or cancels that context.
//
// Streams on which the client sends are retried while gRPC cannot open them, and never after.
func (c *Client) Stream(
	ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	o := opener{ctx: ctx, desc: desc, cc: cc, method: method, streamer: streamer}
	o.opts, o.onFinish = splitOnFinish(opts)
	p := c.plan(ctx, method).policy
	if desc.ClientStreams {
		return o.openOnly(p)
	}
	// Opened here and not by the first RecvMsg: a caller may count on the server's being at work once
	// NewStream has returned.
	s := &serverStream{opener: o, policy: p}
	s.loop = newPausable(s.run)
	if _, err := s.advance(opened, nil); err != nil {
		return nil, err
	}
	return s, nil
}

// DialOptions returns the options that make a connection use c: its interceptors, and
// grpc.WithDisableRetry, so that calls are not retried twice over. A mark on each call lets the
// interceptors know that. Without it, a unary call never counts as certainly not sent.
//
// Interceptors of options before these run once per call, those of options after these once per
// attempt.
func (c *Client) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(retryDisabled{}),
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

// plan is what is made of a policy for its calls.
type plan struct {
	policy *rebound.Policy        // that knows attemptErrors
	around func() *rebound.Policy // of the loop around the legs of a hedged attempt
}

// plan returns the plan for the calls of a method.
func (c *Client) plan(ctx context.Context, method string) *plan {
	// Not kept, as a program may make such a policy for each call.
	if p, ok := ctx.Value(policyKey{}).(*rebound.Policy); ok {
		return newPlan(p)
	}
	p := c.Policy
	if c.PolicyFor != nil {
		if of := c.PolicyFor(method); of != nil {
			p = of
		}
	}
	// Kept, because a policy with a Classify is cloned, and the clone validates itself once.
	kept, ok := c.plans.Load(p)
	if !ok {
		kept, _ = c.plans.LoadOrStore(p, newPlan(p))
	}
	return kept.(*plan)
}

func newPlan(p *rebound.Policy) *plan {
	p = derive(p)
	return &plan{p, sync.OnceValue(func() *rebound.Policy { return outside(p) })}
}
