package rebound

import (
	"time"

	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
)

// charge is the state of an announced retry in the budget.
type charge uint8

const (
	notAnnounced charge = iota
	free                // announced, and not charged to the budget
	charged
)

// takeRetry charges the policy's budget for one retry after a failure of kind k. It returns the
// budget's error if there is no token. A retry after RateLimited is not charged: the server is
// healthy and did not act, and the delays are longer.
func (p *Policy) takeRetry(k fault.Kind) error {
	if k == fault.RateLimited {
		return nil
	}
	if b := p.RetryBudget(); b != nil {
		return b.Take()
	}
	return nil
}

// returnRetry gives back what takeRetry took for a retry that did not take place.
func (p *Policy) returnRetry(k fault.Kind) {
	if k == fault.RateLimited {
		return
	}
	if b := p.RetryBudget(); b != nil {
		b.Return()
	}
}

// refusal returns the error with which the breaker, or a gate that can foresee it, would reject an
// attempt after a delay of d, or nil. own is the gate of the call, or nil.
func (p *Policy) refusal(d time.Duration, own gate.Gate) error {
	if p.Breaker != nil {
		if err := p.Breaker.Refusal(d); err != nil {
			return err
		}
	}
	if err := refusalOf(own, d); err != nil {
		return err
	}
	for _, g := range p.Gates {
		if err := refusalOf(g, d); err != nil {
			return err
		}
	}
	return nil
}

func refusalOf(g gate.Gate, d time.Duration) error {
	if r, ok := g.(interface{ Refusal(time.Duration) error }); ok {
		return r.Refusal(d)
	}
	return nil
}

// deposit reports a success to the budget. It stays small enough to be inlined: a policy that has
// not failed yet has no budget.
func (p *Policy) deposit() {
	if p.Budget != nil || p.own.Load() != nil {
		p.pay()
	}
}

func (p *Policy) pay() {
	b := p.Budget
	if b == nil {
		b = p.own.Load()
	}
	b.Success()
}

// RetryBudget returns the budget that p draws on: Budget, or else p's own. It is for metrics and
// for copies of a policy that share its budget. It returns nil if retries have no budget, because
// Budget or Attempts is unlimited.
func (p *Policy) RetryBudget() *budget.Budget {
	if p == nil {
		p = &shared
	}
	switch {
	case p.Budget == budget.Unlimited:
		return nil
	case p.Budget != nil:
		return p.Budget
	case p.Attempts == Unlimited:
		return nil
	}
	return p.ownBudget()
}

// ownBudget returns the policy's own budget, and makes it at the first failure.
func (p *Policy) ownBudget() *budget.Budget {
	if b := p.own.Load(); b != nil {
		return b
	}
	fresh := &budget.Budget{}
	fresh.Capacity = max(fresh.Size(), float64(p.MaxAttempts()-1))
	if p.own.CompareAndSwap(nil, fresh) {
		return fresh
	}
	return p.own.Load()
}
