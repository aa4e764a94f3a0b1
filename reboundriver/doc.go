// Package reboundriver runs River jobs under a [rebound.Policy]. River keeps the queue and the
// schedule in PostgreSQL; the policy decides whether a job is retried, and when.
//
//	policy := &rebound.Policy{Name: "receipts", Attempts: 8}
//	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
//		MaxAttempts: reboundriver.Policy{Policy: policy}.MaxAttempts(),
//		RetryPolicy: reboundriver.Policy{Policy: policy},
//		Middleware:  []rivertype.Middleware{&reboundriver.Middleware{Policy: policy}},
//		…
//	})
//
// A client needs both. [Middleware] gets the error of Work. [Policy] does not, because River stores
// only the error's text. A permanent failure cancels the job. A Retry-After delay snoozes the job,
// which uses no attempt. Other failures are retried after the policy's delay.
//
// The number of an attempt is the number of errors that River has stored for the job, plus one.
// River's own count is not used, because a snooze changes it in some versions only.
//
// Work should not retry calls by itself. If it makes them under a policy, give that policy one
// attempt. Otherwise the retries in the process and in the queue multiply, and those of a killed
// process are lost.
package reboundriver
