package engines

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
)

// limiter adapts a policy to the rate limiter of a work queue. The queue has no last attempt, and
// does not pass the error. So the limiter only counts each item's failures in a row.
type limiter[T comparable] struct {
	policy *rebound.Policy
	mu     sync.Mutex
	failed map[T]rebound.State
}

func newLimiter[T comparable](p *rebound.Policy) workqueue.TypedRateLimiter[T] {
	p = endless(p)
	p.RetryIf = nil // there is no error to look at
	return &limiter[T]{policy: p, failed: map[T]rebound.State{}}
}

// endless returns p without its limits, for a queue, which makes attempts until one succeeds.
func endless(p *rebound.Policy) *rebound.Policy {
	p = p.Clone()
	p.Attempts, p.NonIdempotent, p.MaxElapsed = rebound.Unlimited, false, 0
	return p
}

// When returns the delay after a failure.
func (l *limiter[T]) When(item T) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.failed[item]
	s.Attempt, s.U, s.Durable = s.Attempt+1, rand.Float64(), true
	s.Prev = l.policy.Decide(s, fault.Fault{Kind: fault.Transient}).Delay
	l.failed[item] = s
	return s.Prev
}

// Forget resets an item's count of failures.
func (l *limiter[T]) Forget(item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failed, item)
}

// NumRequeues returns the number of failures in a row.
func (l *limiter[T]) NumRequeues(item T) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed[item].Attempt
}

func TestWorkqueue(t *testing.T) {
	p := &rebound.Policy{Attempts: 2, Backoff: backoff.Linear{
		Base: time.Second, Step: time.Second, Jitter: backoff.None()}}
	l := newLimiter[string](p)
	for n := 1; n <= 5; n++ { // beyond the policy's attempts, too
		if d := l.When("a"); d != time.Duration(n)*time.Second {
			t.Errorf("%v after failure %d", d, n)
		}
	}
	if d := l.When("b"); d != time.Second {
		t.Errorf("%v after the first failure of another item", d)
	}
	l.Forget("a")
	if d := l.When("a"); d != time.Second || l.NumRequeues("a") != 1 {
		t.Errorf("%v after the first failure since a success", d)
	}
}

// A policy with jitter, a RetryIf or few attempts has delays, too.
func TestWorkqueueJitter(t *testing.T) {
	p := &rebound.Policy{Attempts: 1, MaxElapsed: time.Second, NonIdempotent: true,
		RetryIf: func(fault.Fault) bool { return false }}
	l := newLimiter[int](p)
	seen := map[time.Duration]bool{}
	for item := range 100 {
		for range 20 {
			seen[l.When(item)] = true
		}
	}
	if len(seen) < 1900 {
		t.Errorf("of 2000 delays %d are different", len(seen))
	}
}

// A queue whose items fail twice, one of them permanently.
func TestWorkqueueRuns(t *testing.T) {
	p := &rebound.Policy{Backoff: backoff.Constant(time.Millisecond)}
	q := workqueue.NewTypedRateLimitingQueue(newLimiter[string](p))
	defer q.ShutDown()
	q.Add("transient")
	q.Add("permanent")
	calls := map[string]int{}
	for range 4 {
		item, _ := q.Get()
		var err error
		switch calls[item]++; {
		case item == "permanent":
			err = rebound.Permanent(errReset)
		case calls[item] < 3:
			err = errReset
		}
		if fault.Of(err).Kind == fault.Transient || fault.Of(err).Kind == fault.Unknown {
			q.AddRateLimited(item)
		} else {
			q.Forget(item)
		}
		q.Done(item)
	}
	if calls["transient"] != 3 || calls["permanent"] != 1 || q.Len() != 0 {
		t.Errorf("calls: %v", calls)
	}
}
