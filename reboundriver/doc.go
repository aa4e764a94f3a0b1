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
// [Middleware] sees the error of Work, which [Policy] does not: River stores only its text. So a
// client needs both. A permanent failure cancels the job. A Retry-After delay snoozes the job,
// which uses no attempt. Other failures are retried after the policy's delay.
//
// The number of an attempt is the number of errors that River has stored for the job, plus one.
// River's own count is not used: versions differ in what a snooze does to it.
//
// Work should not retry by itself, or with a policy of one attempt: retries in a process and in
// the queue multiply, and a killed process forgets its own.
package reboundriver
