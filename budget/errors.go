package budget

import (
	"errors"
	"fmt"
)

// ErrEmpty is what the refusal of every Budget matches.
var ErrEmpty = errors.New("retry budget is empty")

// EmptyError is the refusal of an empty Budget: it says what the budget is. It matches [ErrEmpty].
type EmptyError struct {
	Capacity, Deposit, Refill float64 // the Budget's own, defaults in place
}

func (e *EmptyError) Error() string {
	return fmt.Sprintf("%v: it holds %v retries, and gets back %v per success and %v per second; "+
		"a batch with a fixed number of workers, which limits itself, may use budget.Unlimited",
		ErrEmpty, e.Capacity, e.Deposit, e.Refill)
}

// Is reports whether target is [ErrEmpty].
func (e *EmptyError) Is(target error) bool { return target == ErrEmpty }

// Refused returns the error, an [*EmptyError], of a retry that Take refused.
func (b *Budget) Refused() error {
	return &EmptyError{
		orDefault(b.Capacity, defaultCapacity),
		orDefault(b.Deposit, defaultDeposit),
		orDefault(b.Refill, defaultRefill),
	}
}
