package reboundtemporal_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/reboundtemporal"
)

// receipts is the policy of the worker and of the workflow.
var receipts = &rebound.Policy{Name: "receipts", Attempts: 8,
	Backoff: backoff.Constant(time.Minute)}

// Receipt is a workflow of one activity.
func Receipt(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         reboundtemporal.RetryPolicy(receipts),
	})
	return workflow.ExecuteActivity(ctx, Mail).Get(ctx, nil)
}

// Mail fails three times, the last time permanently.
func Mail(ctx context.Context) error {
	calls++
	switch calls {
	case 1:
		return errors.New("connection reset")
	case 2:
		return rebound.RetryAfter(errors.New("too many requests"), time.Hour)
	}
	return rebound.Permanent(errors.New("no such address"))
}

var calls int

func Example() {
	options := worker.Options{
		Interceptors: []interceptor.WorkerInterceptor{
			&reboundtemporal.Interceptor{Policy: receipts},
		},
	}
	// This is the SDK's test environment, whose clock skips delays. A program calls worker.New.
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(options)
	env.RegisterActivity(Mail)
	start := env.Now()
	env.ExecuteWorkflow(Receipt)

	var failure *temporal.ApplicationError
	var reason string
	if errors.As(env.GetWorkflowError(), &failure) && failure.Details(&reason) == nil {
		fmt.Println(failure.Message(), "-", reason)
	}
	fmt.Println("calls:", calls)
	fmt.Println("over an hour:", env.Now().Sub(start) > time.Hour)
	// Output:
	// no such address - not_retryable
	// calls: 3
	// over an hour: true
}

// The data of a policy. If a worker gets the failure, the delay comes from the interceptor.
func ExampleRetryPolicy() {
	r := reboundtemporal.RetryPolicy(&rebound.Policy{Attempts: 5, NonIdempotent: true})
	fmt.Println(r.MaximumAttempts, r.InitialInterval, r.BackoffCoefficient, r.MaximumInterval)
	fmt.Println(r.NonRetryableErrorTypes)
	// Output:
	// 5 100ms 2 5m0s
	// [TemporalTimeout:StartToClose TemporalTimeout:Heartbeat PanicError]
}
