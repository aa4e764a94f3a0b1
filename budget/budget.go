// Package budget limits retries to a share of what succeeds, so that a service in trouble is not
// buried under them.
package budget

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

const (
	defaultCapacity = 10
	defaultDeposit  = 0.1
	defaultRefill   = 0.1
)

// Budget is a bucket of tokens: a retry takes one, a success puts a fraction back, and so does
// time, slowly, so that a lone caller is never starved. The zero Budget is full and ready. One
// Budget may be shared by any number of goroutines and policies; it must not be copied after
// first use, nor its fields changed.
type Budget struct {
	Capacity float64 // tokens when full, 1 to 68,719; 0 = 10; +Inf = never refuses
	Deposit  float64 // tokens given back by each success; 0 = 0.1
	Refill   float64 // tokens given back per second; 0 = 0.1

	state atomic.Uint64 // a State
}

// Unlimited never refuses a retry.
var Unlimited = &Budget{Capacity: math.Inf(1)}

var epoch = time.Now()

// Take takes the token for one retry. It returns false, and takes nothing, if the budget is empty.
func (b *Budget) Take() bool {
	now := time.Since(epoch)
	for {
		old := b.state.Load()
		s, ok := b.TakeAt(State(old), now)
		if !ok || b.state.CompareAndSwap(old, uint64(s)) {
			return ok
		}
	}
}

// Return gives back a token whose retry did not happen.
func (b *Budget) Return() {
	for {
		old := b.state.Load()
		if b.state.CompareAndSwap(old, uint64(b.ReturnAt(State(old)))) {
			return
		}
	}
}

// Success pays the deposit for one call that succeeded. It reads no clock, and if the budget is
// full it writes nothing.
func (b *Budget) Success() {
	if b.state.Load() != 0 {
		b.deposit()
	}
}

func (b *Budget) deposit() {
	for {
		old := b.state.Load()
		if b.state.CompareAndSwap(old, uint64(b.SuccessAt(State(old)))) {
			return
		}
	}
}

// Level returns the tokens left now.
func (b *Budget) Level() float64 {
	return b.LevelAt(State(b.state.Load()), time.Since(epoch))
}

// Validate refuses a negative or NaN field and a Capacity below the price of a retry, 1.
func (b *Budget) Validate() error {
	switch {
	case b.Capacity != 0 && !(b.Capacity >= 1):
		return fmt.Errorf("budget: Capacity is %v: want 1 or more, or 0 for %v",
			b.Capacity, defaultCapacity)
	case !(b.Deposit >= 0):
		return fmt.Errorf("budget: Deposit is %v: want more than 0, or 0 for %v",
			b.Deposit, defaultDeposit)
	case !(b.Refill >= 0):
		return fmt.Errorf("budget: Refill is %v: want more than 0, or 0 for %v",
			b.Refill, defaultRefill)
	}
	return nil
}
