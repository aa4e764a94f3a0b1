package engines

import (
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
)

// limiter is a policy as the rate limiter of a work queue, for controllers. The queue has no last
// attempt and sees no error: it is given the number of failures in a row.
type limiter[T comparable] struct {
	workqueue.TypedRateLimiter[T] // counts
	policy                        *rebound.Policy
}

func newLimiter[T comparable](p *rebound.Policy) limiter[T] {
	p = p.Clone()
	p.Attempts, p.NonIdempotent, p.MaxElapsed = rebound.Unlimited, false, 0
	return limiter[T]{workqueue.NewTypedItemExponentialFailureRateLimiter[T](0, 0), p}
}

// When implements workqueue.TypedRateLimiter.
func (l limiter[T]) When(item T) time.Duration {
	_ = l.TypedRateLimiter.When(item)
	n := l.NumRequeues(item)
	return l.policy.Decide(rebound.State{Attempt: n, Durable: true},
		fault.Fault{Kind: fault.Transient}).Delay
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

// A queue whose items fail twice, one of them for good.
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
