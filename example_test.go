package rebound_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
)

// User is what the API of these examples returns.
type User struct{ Name string }

// userAPI fails the given number of times before it answers.
type userAPI struct{ failures int }

func (a *userAPI) User(_ context.Context, id int) (User, error) {
	if a.failures--; a.failures >= 0 {
		return User{}, errors.New("connection reset")
	}
	return User{Name: fmt.Sprint("user ", id)}, nil
}

// quickly makes the examples fast. Real policies have longer delays.
var quickly = backoff.Constant(time.Millisecond)

func Example() {
	ctx, api := context.Background(), &userAPI{failures: 1}

	policy := &rebound.Policy{
		Name:           "users",
		AttemptTimeout: 5 * time.Second,
		MaxElapsed:     30 * time.Second,
	}
	user, err := rebound.Do(ctx, policy, func(ctx context.Context) (User, error) {
		return api.User(ctx, 42)
	})

	fmt.Println(user.Name, err)
	// Output: user 42 <nil>
}

func ExampleDo() {
	attempts := 0
	page, err := rebound.Do(context.Background(), nil,
		func(context.Context) (string, error) {
			if attempts++; attempts < 3 {
				return "", errors.New("flaky")
			}
			return "here it is", nil
		})
	fmt.Println(page, err, attempts)
	// Output: here it is <nil> 3
}

// After the last attempt the caller gets the error, and everything else about the call.
func ExampleDo_exhausted() {
	policy := &rebound.Policy{Name: "ocr", Attempts: 4, Backoff: quickly}
	partial, err := rebound.Do(context.Background(), policy,
		func(context.Context) (string, error) { return "half a page", io.ErrUnexpectedEOF })

	fmt.Println(partial)
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, rebound.Exhausted))
	// Output:
	// half a page
	// true true
}

func ExampleRun() {
	attempts := 0
	err := rebound.Run(context.Background(), &rebound.Policy{Backoff: quickly},
		func(context.Context) error {
			if attempts++; attempts == 1 {
				return &net.OpError{Op: "dial", Err: errors.New("connection refused")}
			}
			return nil
		})
	fmt.Println(err, attempts)
	// Output: <nil> 2
}

// The fallback is called once, when the policy has given up.
func ExampleDoElse() {
	policy := &rebound.Policy{Backoff: quickly}
	cached := func(context.Context, error) (User, error) {
		return User{"user 42, as of yesterday"}, nil
	}

	user, err := rebound.DoElse(context.Background(), policy,
		func(context.Context) (User, error) { return User{}, errors.New("connection reset") },
		cached)
	fmt.Println(user.Name, err)
	// Output: user 42, as of yesterday <nil>
}

// A call without an error may have failed all the same. The error that check returns for its result
// is classified like any other.
func ExampleDoChecked() {
	statuses := []int{503, 429, 200}
	status, err := rebound.DoChecked(context.Background(), &rebound.Policy{Backoff: quickly},
		func(context.Context) (int, error) {
			next := statuses[0]
			statuses = statuses[1:]
			return next, nil
		},
		func(status int) error {
			switch status {
			case 429, 500, 502, 503, 504:
				return fmt.Errorf("status %d", status)
			}
			return nil
		})
	fmt.Println(status, err)
	// Output: 200 <nil>
}

// As a loop, for a body with return, break or several variables.
func ExampleAttempts() {
	ctx, api := context.Background(), &userAPI{failures: 2}
	policy := &rebound.Policy{Backoff: quickly}

	var user User
	var err error
	for ctx, attempt := range rebound.Attempts(ctx, policy, &err) {
		user, err = api.User(ctx, 42)
		fmt.Println("attempt", attempt, err)
	}

	fmt.Println(user.Name, err)
	// Output:
	// attempt 1 connection reset
	// attempt 2 connection reset
	// attempt 3 <nil>
	// user 42 <nil>
}

// Do runs in the caller's goroutine, so asynchronous callers need nothing else.
func ExampleDo_goroutines() {
	policy := &rebound.Policy{Backoff: quickly}
	results := make(chan string)
	for id := range 3 {
		go func() {
			api := &userAPI{failures: id}
			user, err := rebound.Do(context.Background(), policy,
				func(ctx context.Context) (User, error) { return api.User(ctx, id) })
			results <- fmt.Sprint(user.Name, " ", err)
		}()
	}
	for range 3 {
		fmt.Println(<-results)
	}
	// Unordered output:
	// user 0 <nil>
	// user 1 <nil>
	// user 2 <nil>
}

func ExamplePermanent() {
	attempts := 0
	err := rebound.Run(context.Background(), nil, func(context.Context) error {
		attempts++
		return rebound.Permanent(errors.New("no such account"))
	})
	fmt.Println(attempts, errors.Is(err, rebound.NotRetryable))
	// Output: 1 true
}

// A mark outranks RetryIf and classifiers.
func ExampleTransient() {
	attempts := 0
	never := func(fault.Fault) bool { return false }
	policy := &rebound.Policy{RetryIf: never, Backoff: quickly}
	err := rebound.Run(context.Background(), policy, func(context.Context) error {
		attempts++
		return rebound.Transient(errors.ErrUnsupported)
	})
	fmt.Println(attempts, errors.Is(err, rebound.Exhausted))
	// Output: 3 true
}

// A Retry-After delay is a lower bound. If it is too long, the call ends.
func ExampleRetryAfter() {
	err := rebound.Run(context.Background(), nil, func(context.Context) error {
		return rebound.RetryAfter(errors.New("quota used up"), 3*time.Hour)
	})
	var e *rebound.Error
	if errors.As(err, &e) {
		fmt.Println(e.Reason, e.Fault.Kind, e.Fault.After)
	}
	// Output: wait_too_long rate_limited 3h0m0s
}

func ExampleError() {
	policy := &rebound.Policy{Name: "ocr", Attempts: 3, Backoff: quickly}
	err := rebound.Run(context.Background(), policy, func(context.Context) error {
		return rebound.Transient(errors.New("status 503: no worker is free"))
	})

	var e *rebound.Error
	if errors.As(err, &e) {
		fmt.Println("policy:", e.Policy)
		fmt.Println("attempts:", e.Attempts)
		fmt.Println("last error:", e.Err)
		fmt.Println("its kind:", e.Fault.Kind)
		fmt.Println("why no more:", e.Reason)
	}
	// Output:
	// policy: ocr
	// attempts: 3
	// last error: status 503: no worker is free
	// its kind: transient
	// why no more: exhausted
}
