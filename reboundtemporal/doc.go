// Package reboundtemporal runs Temporal activities under a [rebound.Policy]. Temporal keeps the
// schedule and its history; the policy decides whether an activity is retried, and when.
//
//	policy := &rebound.Policy{Name: "receipts", Attempts: 8}
//	w := worker.New(client, "receipts", worker.Options{
//		Interceptors: []interceptor.WorkerInterceptor{
//			&reboundtemporal.Interceptor{Policy: policy},
//		},
//	})
//
// In the workflow:
//
//	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
//		StartToCloseTimeout: time.Minute,
//		RetryPolicy:         reboundtemporal.RetryPolicy(policy),
//	})
//
// Both are needed. [RetryPolicy] is what of a policy can be data. It holds for failures that no
// worker sees: a timeout, a panic, a worker that was killed. [Interceptor] sees the error of each
// activity, so that permanent failures, Retry-After delays, jitter, Throttled and every strategy of
// backoff reach Temporal.
//
// An activity should not retry by itself, or with a policy of one attempt: retries in a process and
// in the engine multiply, and a killed process forgets its own.
package reboundtemporal
