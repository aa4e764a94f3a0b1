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
// Both are needed. [RetryPolicy] is the part of a policy that Temporal can store. It applies to
// failures without an error in a worker: a timeout, a panic, a worker that was killed.
// [Interceptor] gets the error of each activity. It adds what Temporal cannot store: permanent
// failures, Retry-After delays, jitter, Throttled and all strategies of backoff.
//
// An activity should not retry calls by itself. If it makes them under a policy, give that policy
// one attempt. Otherwise the retries in the process and in Temporal multiply, and those of a killed
// process are lost.
package reboundtemporal
