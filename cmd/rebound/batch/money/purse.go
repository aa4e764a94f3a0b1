package money

import (
	"context"
	"errors"
	"sync"
)

// Purse keeps the sum of the spent and the reserved amounts within a limit. Each call reserves its
// cost before it is sent, so concurrent calls cannot exceed the limit together.
type Purse struct {
	Limit Amount // 0 = no limit
	Spent Amount // set before the first call; afterwards use Total

	mu       sync.Mutex
	reserved Amount
	usedUp   bool          // Reserve has returned ErrSpent
	settled  chan struct{} // is closed by the next Settle; nil if no row waits
}

// ErrSpent is returned by [Purse.Reserve] if the budget is too small for the call.
var ErrSpent = errors.New("the budget is used up")

// Reserve reserves the most that a call can cost. If calls in flight reserve too much, it waits for
// them to settle. If the spent amount leaves too little, it returns ErrSpent.
func (p *Purse) Reserve(ctx context.Context, most Amount) error {
	for {
		p.mu.Lock()
		if p.Limit == 0 || p.Spent+p.reserved+most <= p.Limit {
			p.reserved += most
			p.mu.Unlock()
			return nil
		}
		if p.Spent+most > p.Limit {
			p.usedUp = true
			p.mu.Unlock()
			return ErrSpent
		}
		if p.settled == nil {
			p.settled = make(chan struct{})
		}
		settled := p.settled
		p.mu.Unlock()
		select {
		case <-settled:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Settle replaces the amount that a call reserved by its cost.
func (p *Purse) Settle(most, cost Amount) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reserved -= most
	p.Spent += cost
	if p.settled != nil {
		close(p.settled)
		p.settled = nil
	}
}

// UsedUp reports whether Reserve has returned ErrSpent.
func (p *Purse) UsedUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.usedUp
}

// Total returns the spent amount.
func (p *Purse) Total() Amount {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Spent
}
