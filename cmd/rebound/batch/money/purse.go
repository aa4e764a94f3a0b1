package money

import (
	"context"
	"errors"
	"sync"
)

// Purse keeps what is spent and reserved within a limit. Reserving comes before sending, so calls
// that are under way cannot exceed it together.
type Purse struct {
	Limit Amount // 0 = none
	Spent Amount // before the first call; later only Total

	mu       sync.Mutex
	reserved Amount
	refused  bool          // what is spent leaves too little for a call
	settled  chan struct{} // is closed at the next change; nil if no row waits
}

// ErrSpent is returned by [Purse.Reserve].
var ErrSpent = errors.New("the budget is used up")

// Reserve takes the most that a call can cost. It waits while calls under way may leave enough, and
// returns ErrSpent if what is spent does not.
func (p *Purse) Reserve(ctx context.Context, most Amount) error {
	for {
		p.mu.Lock()
		if p.Limit == 0 || p.Spent+p.reserved+most <= p.Limit {
			p.reserved += most
			p.mu.Unlock()
			return nil
		}
		if p.Spent+most > p.Limit {
			p.refused = true
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

// Settle books what a call has cost in the place of what was reserved.
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

// UsedUp reports whether a call has been refused for good.
func (p *Purse) UsedUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// Total returns what is spent.
func (p *Purse) Total() Amount {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Spent
}
