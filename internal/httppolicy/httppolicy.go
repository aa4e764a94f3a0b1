// Package httppolicy keeps the policy of a request in its context, for reboundhttp and llm.
package httppolicy

import (
	"context"

	"github.com/rebound-go/rebound"
)

// Key is the context key of the policy, whose value is a *rebound.Policy. A custom type of context
// may return a value for it, too.
type Key struct{}

// With returns a context whose requests use p.
func With(ctx context.Context, p *rebound.Policy) context.Context {
	return context.WithValue(ctx, Key{}, p)
}

// Of returns the policy that [With] put in the context. ok is false if there is none.
func Of(ctx context.Context) (p *rebound.Policy, ok bool) {
	p, ok = ctx.Value(Key{}).(*rebound.Policy)
	return p, ok
}
