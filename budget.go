package rebound

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

// TakeRetry asks the policy's budget for one retry after a failure that meant f. A nil error
// grants it; an error is the refusal, and says what the budget is. A retry that the server itself
// scheduled (f.After > 0) costs nothing.
//
// TakeRetry, [Policy.ReturnRetry], [Policy.Refusal] and [Policy.Success] are for loops that are
// not Do and go by Decide; such a loop asks before it waits.
func (p *Policy) TakeRetry(f fault.Fault) error { return p.takeRetry(f.After) }

func (p *Policy) takeRetry(after time.Duration) error {
	b := p.RetryBudget()
	if b == nil || after > 0 || b.Take() {
		return nil
	}
	return b.Refused()
}

// Refusal tells a loop that is not Do, and is about to wait for d, whether that is in vain: it
// returns what the policy's breaker, or another gate with a Refuses method such as that of
// [breaker.Breaker], would answer afterwards, as far as it knows; else nil.
func (p *Policy) Refusal(d time.Duration) error {
	if p == nil {
		return nil
	}
	if p.Breaker != nil {
		if err := p.Breaker.Refuses(d); err != nil {
			return err
		}
	}
	for _, g := range p.Gates {
		if r, ok := g.(interface{ Refuses(time.Duration) error }); ok {
			if err := r.Refuses(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReturnRetry gives back what TakeRetry took for a retry that then did not take place, because the
// context ended in the wait or a gate refused the attempt.
func (p *Policy) ReturnRetry(f fault.Fault) { p.returnRetry(f.After) }

func (p *Policy) returnRetry(after time.Duration) {
	if b := p.RetryBudget(); b != nil && after <= 0 {
		b.Return()
	}
}

// Success tells the policy's budget of a call that succeeded.
func (p *Policy) Success() {
	if p == nil {
		p = &shared
	}
	p.deposit()
}

// deposit stays small enough to be inlined: a policy that has not failed yet has no budget.
func (p *Policy) deposit() {
	if p.Budget != nil || p.loadOwn() != nil {
		p.pay()
	}
}

func (p *Policy) pay() {
	b := p.Budget
	if b == nil {
		b = p.loadOwn()
	}
	b.Success()
}

// RetryBudget returns the budget that p draws on, to look at its level: Budget, or else p's own.
// Nil means that there is none, because Budget or Attempts is unlimited.
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

// ownBudget returns the policy's own budget and makes it if this is the first failure. It is a
// plain pointer, used atomically, because a field of type atomic.Pointer would have vet refuse
// even the harmless copies of a policy that is not in use yet.
func (p *Policy) ownBudget() *budget.Budget {
	if b := p.loadOwn(); b != nil {
		return b
	}
	fresh := &budget.Budget{Capacity: float64(max(10, p.attempts()-1))}
	if atomic.CompareAndSwapPointer(p.ownWord(), nil, unsafe.Pointer(fresh)) {
		return fresh
	}
	return p.loadOwn()
}

func (p *Policy) loadOwn() *budget.Budget {
	return (*budget.Budget)(atomic.LoadPointer(p.ownWord()))
}

func (p *Policy) ownWord() *unsafe.Pointer { return (*unsafe.Pointer)(unsafe.Pointer(&p.own)) }
