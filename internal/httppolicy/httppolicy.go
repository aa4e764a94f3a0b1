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

// Of returns what the context has, or the zero Call.
func Of(ctx context.Context) Call {
	if c, ok := ctx.Value(Key{}).(*Call); ok {
		return *c
	}
	return Call{}
}
