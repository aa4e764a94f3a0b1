package budget

import (
	"errors"
	"fmt"
)

// ErrEmpty matches, by errors.Is, the error of any Budget that has no token left.
var ErrEmpty = errors.New("retry budget is empty")

// EmptyError is the error that [Budget.Take] returns when there is no token left. It matches
// [ErrEmpty]. Its text holds the budget's fields, and names the alternative for batches.
type EmptyError struct {
	Capacity float64 // as in Budget, with defaults in place of zeros
	Deposit  float64
	Refill   float64
}

func (e *EmptyError) Error() string {
	return fmt.Sprintf("%v: Capacity %v, Deposit %v per success, Refill %v per second; "+
		"a batch with a fixed number of workers may use budget.Unlimited",
		ErrEmpty, e.Capacity, e.Deposit, e.Refill)
}

// Is reports whether target is [ErrEmpty].
func (e *EmptyError) Is(target error) bool { return target == ErrEmpty }

// rejection returns the budget's one EmptyError, so that many rejections allocate nothing.
func (b *Budget) rejection() error {
	if e := b.empty.Load(); e != nil {
		return e
	}
	c := b.config().Defaults()
	e := &EmptyError{Capacity: c.Capacity, Deposit: c.Deposit, Refill: c.Refill}
	b.empty.CompareAndSwap(nil, e)
	return b.empty.Load()
}
