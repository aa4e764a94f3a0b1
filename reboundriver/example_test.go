package reboundriver_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/reboundriver"
)

func Example() {
	policy := &rebound.Policy{Name: "receipts", Attempts: 8, Backoff: backoff.Constant(time.Minute)}
	config := &river.Config{
		MaxAttempts: reboundriver.Policy{Policy: policy}.MaxAttempts(),
		RetryPolicy: reboundriver.Policy{Policy: policy},
		Middleware:  []rivertype.Middleware{&reboundriver.Middleware{Policy: policy}},
	}
	fmt.Println(config.MaxAttempts)
	// Output: 8
}

// The error that Middleware returns decides what River does with a job.
func ExampleMiddleware() {
	m := &reboundriver.Middleware{Policy: &rebound.Policy{Name: "receipts"}}
	job := &rivertype.JobRow{Attempt: 1, MaxAttempts: 3}
	for _, failure := range []error{
		errors.New("connection reset"),
		rebound.RetryAfter(errors.New("too many requests"), time.Hour),
		rebound.Permanent(errors.New("no such receipt")),
	} {
		err := m.Work(context.Background(), job, func(context.Context) error { return failure })
		var snooze *river.JobSnoozeError
		var cancel *river.JobCancelError
		switch {
		case errors.As(err, &snooze):
			fmt.Println("snoozed for an hour and a bit:", snooze.Duration >= time.Hour)
		case errors.As(err, &cancel):
			fmt.Println("canceled:", err)
		default:
			fmt.Println("retried:", err)
		}
	}
	// Output:
	// retried: connection reset
	// snoozed for an hour and a bit: true
	// canceled: JobCancelError: rebound: receipts: attempt 1 of 3: no such receipt (not retryable)
}
