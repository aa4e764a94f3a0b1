package budget

import (
	"errors"
	"fmt"
)

// ErrEmpty is found by errors.Is in the error that any Budget returns when it has no token left.
var ErrEmpty = errors.New("retry budget is empty")

// EmptyError is the error that [Budget.Take] returns when there is no token left. It matches
// [ErrEmpty]. Its text holds the budget's numbers and names the alternative for batches.
type EmptyError struct {
	Capacity float64 // the Budget's fields, defaults in place
	Deposit  float64
	Refill   float64
}

func (e *EmptyError) Error() string {
	return fmt.Sprintf("%v: it holds %v, and gets back %v per success and %v per second; "+
		"a batch with a fixed number of workers may use budget.Unlimited",
		ErrEmpty, e.Capacity, e.Deposit, e.Refill)
}

// Is reports whether target is [ErrEmpty].
func (e *EmptyError) Is(target error) bool { return target == ErrEmpty }

// refusal returns the budget's one EmptyError, so that a storm of refusals allocates nothing.
func (b *Budget) refusal() error {
	if e := b.empty.Load(); e != nil {
		return e
	}
	c := b.config().Defaults()
	e := &EmptyError{Capacity: c.Capacity, Deposit: c.Deposit, Refill: c.Refill}
	b.empty.CompareAndSwap(nil, e)
	return b.empty.Load()
}
