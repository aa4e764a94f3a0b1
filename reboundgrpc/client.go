package reboundgrpc

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/hedge"
)

// Client holds the interceptors of a client, and the policies for its calls. The zero Client is
// ready to use. Once in use it must not be copied, nor its fields changed. One Client may serve
// several connections.
type Client struct {
	// Policy describes how failures are handled. Nil = the zero policy.
	Policy *rebound.Policy

	// PolicyFor returns the policy of a method, such as "/orders.Orders/Create". It is called once for
	// each call, and must return the same policy for a method every time. If it is nil or returns nil,
	// Policy applies.
	PolicyFor func(method string) *rebound.Policy

	// HedgeFor returns the hedge of a unary method, or nil. With a hedge, a second attempt starts when
	// the first has not answered in time. The first answer is returned and the other attempts are
	// canceled. Calls under a NonIdempotent policy are never hedged. The attempts of a call share its
	// request, which interceptors must not change. Nil = none.
	HedgeFor func(method string) *hedge.Hedge

	// plans grows to the number of policies, which are few: one for each method at most.
	plans sync.Map // from *rebound.Policy to *plan
}

// Unary is the grpc.UnaryClientInterceptor of c. Its errors hold a [rebound.Error] and, for package
// status, the status of the last attempt. A rejection by a breaker or a limit has the code
// RESOURCE_EXHAUSTED or UNAVAILABLE. The end of the caller's context has the code of the context.
//
// Each attempt has a context of its own, with the deadline of the policy's AttemptTimeout. Options
// such as grpc.Header describe the last attempt. A grpc.OnFinish is called once per call.
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
	// The callbacks come after the whole call, and not after each attempt as in gRPC.
	err := u.call(ctx, p)
	for _, f := range onFinish {
		f(err)
	}
	return err
}

// Stream is the grpc.StreamClientInterceptor of c. Its errors are like those of [Client.Unary].
//
// A server stream is repeated, request included, until the caller has got something from it: its
// first message, its end, or its header through Header. Later failures are returned to the caller.
// For the policy's gates, breaker, AttemptTimeout and MaxElapsed, the attempt ends at that point
// too. The stream continues under the caller's context. As gRPC requires, the caller must read the
// stream to its end or cancel that context.
//
// Streams on which the client sends are retried only while gRPC cannot open them.
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
	// The stream is opened here and not by the first RecvMsg, because a caller may rely on the server
	// being at work once NewStream has returned.
	s := &serverStream{opener: o, policy: p}
	s.loop = newPausable(s.run)
	if _, err := s.advance(opened, nil); err != nil {
		return nil, err
	}
	return s, nil
}

// DialOptions returns the options that make a connection use c: its interceptors, and
// grpc.WithDisableRetry, so that attempts do not multiply. The options also mark each call, which
// shows the interceptors that gRPC's own retry is off. Without the mark, a unary call never counts
// as certainly not sent.
//
// Interceptors in options before these run once per call, those in options after these once per
// attempt.
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
// the zero policy. The context applies to all calls made with it, including those that a handler
// passes it to.
func WithPolicy(ctx context.Context, p *rebound.Policy) context.Context {
	return context.WithValue(ctx, policyKey{}, p)
}

// plan is what a policy becomes for its calls. It is made once for each policy.
type plan struct {
	policy *rebound.Policy        // that knows attemptErrors
	around func() *rebound.Policy // of the loop around the legs of a hedged attempt
}

// plan returns the plan for the calls of a method.
func (c *Client) plan(ctx context.Context, method string) *plan {
	// Such a plan is not kept, because a program may make a policy for each call.
	if p, ok := ctx.Value(policyKey{}).(*rebound.Policy); ok {
		return newPlan(p)
	}
	p := c.Policy
	if c.PolicyFor != nil {
		if of := c.PolicyFor(method); of != nil {
			p = of
		}
	}
	// A plan is kept, because a policy with a Classify is cloned and the clone has to validate itself.
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
