// Package httppolicy keeps the policy of a request in its context, for reboundhttp and llm.
package httppolicy

import (
	"context"

	"github.com/rebound-go/rebound"
)

// Key is what a context has the policy under, as a *rebound.Policy. Contexts of other types than
// that of With may answer to it.
type Key struct{}

// With returns a context whose requests go by p.
func With(ctx context.Context, p *rebound.Policy) context.Context {
	return context.WithValue(ctx, Key{}, p)
}

// Of returns the policy that [With] put in the context. ok is false if there is none.
func Of(ctx context.Context) (p *rebound.Policy, ok bool) {
	p, ok = ctx.Value(Key{}).(*rebound.Policy)
	return p, ok
}
