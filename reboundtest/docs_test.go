package reboundtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundtest"
)

// The tests in this file are those that docs/testing.md shows.

var apiPolicy = &rebound.Policy{
	Name:     "users",
	Attempts: 4,
	Backoff:  backoff.Exponential{Base: time.Second},
}

// User is what the API of these tests answers.
type User struct{ Name string }

// userAPI fails as often as failures says, and then answers.
type userAPI struct{ failures int }

func (a *userAPI) User(_ context.Context, id int) (User, error) {
	if a.failures--; a.failures >= 0 {
		return User{}, errors.New("connection reset")
	}
	return User{Name: fmt.Sprintf("user %d", id)}, nil
}

func TestDocsSchedule(t *testing.T) {
	want := []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second}
	if got := apiPolicy.Schedule(3); !slices.Equal(got, want) {
		t.Errorf("got waits of %v, want %v", got, want)
	}
}

func TestDocsDecide(t *testing.T) {
	for _, row := range []struct {
		kind  fault.Kind
		retry bool
		delay time.Duration
	}{
		{fault.Transient, true, 1 * time.Second},
		{fault.RateLimited, true, 4 * time.Second},
		{fault.Permanent, false, 0},
	} {
		d := apiPolicy.Decide(rebound.State{Attempt: 1, U: -1}, fault.Fault{Kind: row.kind})
		if d.Retry != row.retry || d.Delay != row.delay {
			t.Errorf("%v: got %t after %v, want %t after %v",
				row.kind, d.Retry, d.Delay, row.retry, row.delay)
		}
	}
}

func TestDocsTrace(t *testing.T) {
	api := &userAPI{failures: 2}
	trace, err := reboundtest.Do(apiPolicy.Clone(), func(ctx context.Context) (User, error) {
		return api.User(ctx, 42)
	})
	if err != nil || trace.Value.Name != "user 42" || trace.Attempts != 3 {
		t.Errorf("got %+v, %v, want user 42 at the third attempt", trace, err)
	}
	want := []time.Duration{1 * time.Second, 2 * time.Second}
	if !slices.Equal(trace.Delays, want) {
		t.Errorf("got waits of %v, want %v", trace.Delays, want)
	}
}

func TestDocsBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		policy := &rebound.Policy{Attempts: 5, Backoff: backoff.Constant(time.Minute)}
		begin := time.Now()
		err := rebound.Run(ctx, policy, func(context.Context) error {
			return errors.New("connection reset")
		})
		if !errors.Is(err, rebound.PastDeadline) {
			t.Errorf("got %v, want it to stop for the deadline", err)
		}
		if waited := time.Since(begin); waited != time.Minute {
			t.Errorf("waited %v, want the one minute that fits", waited)
		}
	})
}
