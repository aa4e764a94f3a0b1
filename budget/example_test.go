package budget_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rebound-go/rebound/budget"
)

// One budget for everything that calls one service.
func Example() {
	search := &budget.Budget{Capacity: 2, Deposit: 0.5}

	fmt.Println(search.Take() == nil, search.Take() == nil, search.Take() == nil)
	search.Success()
	search.Success()
	fmt.Println(search.Take() == nil)
	// Output:
	// true true false
	// true
}

func ExampleBudget_Take() {
	var b budget.Budget
	retries := 0
	for b.Take() == nil {
		retries++
	}
	fmt.Println(retries, "retries, then none")
	// Output: 10 retries, then none
}

func ExampleBudget_Return() {
	b := &budget.Budget{Capacity: 5}
	if b.Take() == nil {
		// The wait before the retry would pass the deadline: there will be none.
		b.Return()
	}
	fmt.Println(b.Level(), "left")
	// Output: 5 left
}

func ExampleBudget_Success() {
	b := &budget.Budget{Capacity: 1, Deposit: 0.25}
	b.Take()
	for calls := 1; ; calls++ {
		b.Success()
		if b.Take() == nil {
			fmt.Println("a retry again after", calls, "successes")
			break
		}
	}
	// Output: a retry again after 4 successes
}

func ExampleBudget_Level() {
	var b budget.Budget
	b.Take()
	fmt.Printf("%.0f of 10\n", b.Level())
	// Output: 9 of 10
}

func ExampleBudget_Validate() {
	b := &budget.Budget{Capacity: 0.5}
	fmt.Println(b.Validate())
	// Output: budget: Capacity is 0.5: want 1 or more, or 0 for 10
}

func ExampleEmptyError() {
	b := &budget.Budget{Capacity: 1}
	b.Take()
	err := b.Take()
	fmt.Println(errors.Is(err, budget.ErrEmpty))
	fmt.Println(strings.ReplaceAll(err.Error(), "; ", ";\n"))
	// Output:
	// true
	// retry budget is empty: Capacity 1, Deposit 0.1 per success, Refill 0.1 per second;
	// a batch with a fixed number of workers may use budget.Unlimited
}

func ExampleUnlimited() {
	fmt.Println(budget.Unlimited.Take(), budget.Unlimited.Level())
	// Output: <nil> +Inf
}
