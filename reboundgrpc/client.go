package reboundgrpc

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/hedge"
)

// Client makes interceptors that run calls under policies. The zero Client is ready to use.
// Connections and goroutines may share a Client. Once it is in use, do not copy it or change its
// fields.
type Client struct {
	// Policy is the policy of calls for which PolicyFor returns none. Nil = the zero policy.
	Policy *rebound.Policy

	// PolicyFor returns the policy of a method, such as "/orders.Orders/Create". It is called once for
	// each call, and must return the same policy for a method every time. Policy applies if PolicyFor
	// is nil or returns nil.
	PolicyFor func(method string) *rebound.Policy

	// HedgeFor returns the hedge of a unary method, or nil for none. With a hedge, a second attempt
	// starts if the first has not been answered in time. The first answer is returned, and the other
	// attempts are canceled. Calls under a NonIdempotent policy are never hedged. The attempts of a
	// call share its request, so interceptors must not change the request. Nil = no hedges.
	HedgeFor func(method string) *hedge.Hedge

	// plans has at most one entry for each method, plus one.
	plans sync.Map // from *rebound.Policy to *plan
}

// Unary is the grpc.UnaryClientInterceptor of c. Its errors hold a [*rebound.Error]. Their code,
// for package status, is that of the last attempt. If a gate rejected the first attempt, the code
// is RESOURCE_EXHAUSTED for a rate limit, and UNAVAILABLE otherwise. If the caller's context ended,
// the code is CANCELLED or DEADLINE_EXCEEDED.
//
// AttemptTimeout sets the deadline of each attempt. Options such as grpc.Header receive the values
// of the last attempt. A grpc.OnFinish is called once for each call.
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
	// The callbacks run after the whole call. In gRPC they would run after each attempt.
	err := u.call(ctx, p)
	for _, f := range onFinish {
		f(err)
	}
	return err
}

// Stream is the grpc.StreamClientInterceptor of c. Its errors are like those of [Client.Unary].
//
// A server stream is retried until the caller gets something from it: its first message, its end,
// or its header through Header. At this point the attempt ends for the policy's gates, breaker,
// AttemptTimeout and MaxElapsed. The stream continues under the caller's context, and later
// failures are returned to the caller. As gRPC requires, the caller must read the stream to its end
// or cancel the context.
//
// A stream on which the client sends is retried only while gRPC cannot open it.
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
	// The stream is opened here and not by the first RecvMsg, because callers may expect that the
	// server is working once NewStream has returned.
	s := &serverStream{opener: o, policy: p}
	s.loop = newPausable(s.run)
	if _, err := s.advance(opened, nil); err != nil {
		return nil, err
	}
	return s, nil
}

// DialOptions returns the options that make a connection use c. These are its interceptors, and
// grpc.WithDisableRetry, so that attempts do not multiply. Use these options instead of the
// interceptors alone: only with them can c detect that a unary call was not sent.
//
// Interceptors in options before these run once for each call. Interceptors in options after these
// run once for each attempt.
func (c *Client) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(retryDisabled{}),
		grpc.WithChainUnaryInterceptor(c.Unary),
		grpc.WithChainStreamInterceptor(c.Stream),
	}
}

// Validate returns an error that names the first invalid field and its valid values, or nil. It
// cannot validate the policies of PolicyFor.
func (c *Client) Validate() error {
	if err := c.Policy.Validate(); err != nil {
		return fmt.Errorf("reboundgrpc: Client.Policy: %w", err)
	}
	return nil
}

type policyKey struct{}

// WithPolicy returns a context whose calls use p instead of the policy of the [Client]. A nil p is
// the zero policy. p applies to all calls with this context, including calls in functions that the
// context is passed to.
func WithPolicy(ctx context.Context, p *rebound.Policy) context.Context {
	return context.WithValue(ctx, policyKey{}, p)
}

// plan holds the policies for calls under one policy of the user. It is made once for each policy.
type plan struct {
	policy *rebound.Policy        // the result of derive
	around func() *rebound.Policy // for the loop around hedged attempts
}

// plan returns the plan for the calls of a method.
func (c *Client) plan(ctx context.Context, method string) *plan {
	// This plan is not kept, because a program may make a policy for each call.
	if p, ok := ctx.Value(policyKey{}).(*rebound.Policy); ok {
		return newPlan(p)
	}
	p := c.Policy
	if c.PolicyFor != nil {
		if of := c.PolicyFor(method); of != nil {
			p = of
		}
	}
	// The plan is kept, because a policy with a Classify is cloned, and each clone validates itself
	// once.
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
