package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

func ExamplePolicy_Schedule() {
	var policy rebound.Policy
	fmt.Println(policy.Schedule(5))

	policy.Backoff = backoff.Exponential{Base: time.Second, Max: 10 * time.Second}
	fmt.Println(policy.Schedule(5))
	// Output:
	// [100ms 200ms 400ms 800ms 1.6s]
	// [1s 2s 4s 8s 10s]
}

// Rate limits have their own schedule. By default its delays are four times as long.
func ExamplePolicy_throttled() {
	policy := &rebound.Policy{
		Attempts: 5,
		Backoff:  backoff.Exponential{Base: time.Second},
	}
	for _, kind := range []fault.Kind{fault.Transient, fault.RateLimited} {
		fmt.Print(kind, ":")
		for attempt := 1; attempt < 5; attempt++ {
			state := rebound.State{Attempt: attempt, U: -1} // U < 0: without jitter
			fmt.Print(" ", policy.Decide(state, fault.Fault{Kind: kind}).Delay)
		}
		fmt.Println()
	}
	// Output:
	// transient: 1s 2s 4s 8s
	// rate_limited: 4s 8s 16s 32s
}

// Decide returns, without waiting, what would follow this failure, and why.
func ExamplePolicy_Decide() {
	policy := &rebound.Policy{Attempts: 2, Backoff: backoff.Constant(time.Second)}
	timeout := fault.Fault{Kind: fault.Transient}
	for _, state := range []rebound.State{
		{Attempt: 1},
		{Attempt: 1, Left: 300 * time.Millisecond},
		{Attempt: 2},
	} {
		d := policy.Decide(state, timeout)
		fmt.Printf("%t %v %q\n", d.Retry, d.Delay, d.Reason)
	}
	// Output:
	// true 1s ""
	// false 0s "past_deadline"
	// false 0s "exhausted"
}

// A job engine keeps the queue and the delays. Between two attempts it stores only the State.
func ExampleResume() {
	ctx, policy := context.Background(), &rebound.Policy{Name: "job"}
	job := func(context.Context) (int, error) { return 0, errors.New("flaky") }

	stored := rebound.State{Durable: true}
	for {
		l := rebound.Resume(ctx, policy, stored)
		l.U = func() float64 { return -1 } // no jitter
		var delay time.Duration
		l.Sleep = func(_ context.Context, d time.Duration) { delay = d } // the queue waits instead
		_, err := rebound.Try(&l, job)
		if err == nil {
			l.Succeed()
			return
		}
		d := l.Decide(err)
		if !d.Retry {
			fmt.Println(l.Stop(d.Reason, nil))
			return
		}
		if err := l.Retry(d.Delay); err != nil {
			fmt.Println(err)
			return
		}
		stored = l.State()
		fmt.Println("attempt", stored.Attempt, "failed, queued again in", delay)
	}
	// Output:
	// attempt 1 failed, queued again in 100ms
	// attempt 2 failed, queued again in 200ms
	// rebound: job: attempt 3 of 3: flaky (exhausted)
}

// A line before each delay, and one when the call fails.
func ExamplePolicy_observe() {
	policy := &rebound.Policy{
		Name:    "ocr",
		Backoff: backoff.Exponential{Base: time.Millisecond, Jitter: backoff.None()},
		Observe: func(_ context.Context, e rebound.Event) {
			switch e.Kind {
			case rebound.Retrying:
				fmt.Printf("%s: attempt %d: %v, next in %v\n", e.Policy, e.Attempt, e.Err, e.Delay)
			case rebound.GaveUp:
				fmt.Printf("%s: gave up after %d: %s\n", e.Policy, e.Attempt, e.Reason)
			}
		},
	}
	rebound.Run(context.Background(), policy, func(context.Context) error {
		return errors.New("no worker is free")
	})
	// Output:
	// ocr: attempt 1: no worker is free, next in 1ms
	// ocr: attempt 2: no worker is free, next in 2ms
	// ocr: gave up after 3: exhausted
}

func ExampleObservers() {
	retries := 0
	count := func(_ context.Context, e rebound.Event) {
		if e.Kind == rebound.Retrying {
			retries++
		}
	}
	log := func(_ context.Context, e rebound.Event) { fmt.Println(e.Kind, e.Attempt) }

	policy := &rebound.Policy{Backoff: quickly, Observe: rebound.Observers(count, log)}
	api := &userAPI{failures: 1}
	rebound.Do(context.Background(), policy, func(ctx context.Context) (User, error) {
		return api.User(ctx, 42)
	})
	fmt.Println(retries, "retry")
	// Output:
	// retrying 1
	// succeeded 2
	// 1 retry
}

// Only these errors are retried.
func ExamplePolicy_retryIf() {
	errBusy := errors.New("busy")
	policy := &rebound.Policy{
		Backoff: quickly,
		RetryIf: func(f fault.Fault) bool {
			return errors.Is(f.Err, errBusy) || fault.IsTimeout(f.Err)
		},
	}
	for _, failure := range []error{errBusy, context.DeadlineExceeded, fs.ErrClosed} {
		attempts := 0
		rebound.Run(context.Background(), policy, func(context.Context) error {
			attempts++
			return fmt.Errorf("reading: %w", failure)
		})
		fmt.Println(attempts, failure)
	}
	// Output:
	// 3 busy
	// 3 context deadline exceeded
	// 1 file already closed
}

// quotaError is an error of an SDK that package fault has no reader for.
type quotaError struct{ wait time.Duration }

func (e *quotaError) Error() string { return "quota used up" }

// Classify teaches the policy an SDK's own errors.
func ExamplePolicy_classify() {
	sdk := func(err error) fault.Fault {
		var quota *quotaError
		if errors.As(err, &quota) {
			return fault.Fault{Kind: fault.RateLimited, After: quota.wait}
		}
		return fault.Fault{Kind: fault.Unknown}
	}
	policy := &rebound.Policy{
		Classify: fault.First(sdk, fault.Of),
		Observe: func(_ context.Context, e rebound.Event) {
			fmt.Println(e.Kind, e.Fault.Kind, e.Delay >= e.Fault.After)
		},
	}
	attempts := 0
	rebound.Run(context.Background(), policy, func(context.Context) error {
		if attempts++; attempts == 1 {
			return &quotaError{wait: 5 * time.Millisecond}
		}
		return nil
	})
	// Output:
	// retrying rate_limited true
	// succeeded none true
}

// A call is bounded by number, by time and by its share of the traffic.
func ExamplePolicy_bounds() {
	for _, policy := range []*rebound.Policy{
		{Attempts: 2, Backoff: quickly},
		{MaxElapsed: time.Second, Backoff: backoff.Constant(time.Minute)},
		{Attempts: 50, Backoff: quickly, Budget: &budget.Budget{Capacity: 3}},
	} {
		err := rebound.Run(context.Background(), policy, func(context.Context) error {
			return errors.New("down")
		})
		var e *rebound.Error
		if errors.As(err, &e) {
			fmt.Println(e.Attempts, e.Reason)
		}
	}
	// Output:
	// 2 exhausted
	// 1 past_elapsed
	// 4 out_of_budget
}

// A call that must not happen twice is repeated only if the server certainly did not act.
func ExamplePolicy_nonIdempotent() {
	policy := &rebound.Policy{NonIdempotent: true, Backoff: quickly}
	for _, sent := range []fault.Sent{fault.NotSent, fault.NotDone, fault.MaybeDone} {
		d := policy.Decide(rebound.State{Attempt: 1}, fault.Fault{Kind: fault.Transient, Sent: sent})
		fmt.Printf("%v %t %q\n", sent, d.Retry, d.Reason)
	}
	// Output:
	// not_sent true ""
	// not_done true ""
	// maybe_done false "not_idempotent"
}

// A policy in use holds its own budget. Clone gives a variant a new one.
func ExamplePolicy_Clone() {
	base := &rebound.Policy{Name: "api", Attempts: 5}
	patient := base.Clone()
	patient.Name, patient.MaxElapsed = "api, at night", time.Hour
	fmt.Println(base.Name, base.MaxElapsed)
	fmt.Println(patient.Name, patient.MaxElapsed, patient.Attempts)
	// Output:
	// api 0s
	// api, at night 1h0m0s 5
}

func ExamplePolicy_Validate() {
	policy := &rebound.Policy{Attempts: -2}
	fmt.Println(policy.Validate())
	// Output: rebound: Policy.Attempts is -2: want 1 or more, 0 for 3, or rebound.Unlimited
}

// After an outage all clients come back at once, whatever backoff their calls have. A random delay
// before the first call spreads them.
func Example_herd() {
	start := backoff.Exponential{Base: 10 * time.Second} // full jitter: between 0 and 10 s
	dice := rand.New(rand.NewPCG(1, 2))                  // a program uses rand.Float64
	for client := range 3 {
		wait := start.Delay(1, 0, dice.Float64())
		fmt.Println("client", client, "begins after", wait.Round(time.Millisecond))
	}
	// Output:
	// client 0 begins after 6.765s
	// client 1 begins after 4.614s
	// client 2 begins after 5.085s
}
