package proxy

import (
	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/internal/lru"
)

// Busy reports whether a new client would let more requests pass than c: its breaker is not closed,
// or a limit is partly used. Every such state ends with time.
func (c *client) Busy() bool {
	return c.quota.Busy() || c.policy.Breaker != nil && c.policy.Breaker.State() != breaker.Closed ||
		c.budget != nil && spent(c.budget) || limited(c.policy)
}

// spent reports whether a budget that refills is not full.
func spent(b *budget.Budget) bool { return b.Refill != budget.None && b.Level() < b.Size() }

// limited reports whether a gate of the policy limits requests now. Concurrency limits are left
// out: they do so only while requests are in flight.
func limited(p *rebound.Policy) bool {
	for _, g := range p.Gates {
		if g, ok := g.(lru.Value); ok && g.Busy() {
			return true
		}
	}
	return false
}
