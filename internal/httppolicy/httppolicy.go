// Package httppolicy keeps what concerns the call of a request in its context, for reboundhttp and
// llm.
package httppolicy

import (
	"context"
	"sync/atomic"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/gate"
)

// Key is the context key of a *Call. A custom type of context may return a value for it, too.
type Key struct{}

// Call is what a request brings for its call.
type Call struct {
	Own  *Policy   // applies instead of the transport's policy; nil = none
	Gate gate.Gate // admits the attempts, before the policy's gates; nil = none
}

// Policy is the policy of the requests of a context.
type Policy struct {
	*rebound.Policy // nil = the zero policy

	// Plan is what a transport made of the policy last. The next request of the context mostly needs
	// the same.
	Plan atomic.Value
}

// With returns a context whose requests use p.
func With(ctx context.Context, p *rebound.Policy) context.Context {
	return context.WithValue(ctx, Key{}, &Call{Own: &Policy{Policy: p}})
}

// Take returns what the context has for the call of a request. Only the first Take returns a Gate:
// requests that are made for the call, with a context derived from this one, are other calls.
func Take(ctx context.Context) Call {
	c, ok := ctx.Value(Key{}).(*Call)
	if !ok {
		return Call{}
	}
	taken := *c
	if c.Gate != nil { // otherwise other goroutines may use c
		c.Gate = nil
	}
	return taken
}

// Of returns what the context has, or the zero Call.
func Of(ctx context.Context) Call {
	if c, ok := ctx.Value(Key{}).(*Call); ok {
		return *c
	}
	return Call{}
}
