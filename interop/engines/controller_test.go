package engines

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
)

// reconciler runs a Reconciler under a policy. It is also the controller's RateLimiter.
type reconciler[T comparable] struct {
	reconcile.TypedReconciler[T]
	workqueue.TypedRateLimiter[T]
	policy *rebound.Policy
}

func newReconciler[T comparable](
	p *rebound.Policy, r reconcile.TypedReconciler[T],
) reconciler[T] {
	return reconciler[T]{r, newLimiter[T](p), endless(p)}
}

// Reconcile implements reconcile.TypedReconciler.
func (r reconciler[T]) Reconcile(ctx context.Context, item T) (reconcile.Result, error) {
	result, err := r.TypedReconciler.Reconcile(ctx, item)
	f := r.policy.Fault(ctx, err)
	d := r.policy.Decide(rebound.State{Attempt: 1, U: rand.Float64(), Durable: true}, f)
	switch {
	case err == nil || d.Reason == rebound.Canceled: // the controller stops
		return result, err
	case !d.Retry:
		r.Forget(item) // the controller does not do this
		return result, reconcile.TerminalError(err)
	case f.After > 0: // with an error, the controller ignores RequeueAfter
		return reconcile.Result{RequeueAfter: d.Delay}, nil
	}
	return result, err
}

// items is a Reconciler whose items fail, each in its own way.
type items struct {
	at   map[string][]time.Time
	last func()
}

func (s *items) Reconcile(_ context.Context, item string) (reconcile.Result, error) {
	s.at[item] = append(s.at[item], time.Now())
	switch n := len(s.at[item]); {
	case item == "permanent" && n == 1:
		return reconcile.Result{}, errReset
	case item == "permanent":
		return reconcile.Result{}, rebound.Permanent(errReset)
	case item == "periodic" && n == 1:
		return reconcile.Result{RequeueAfter: time.Millisecond}, nil
	case item == "transient" && n < 4:
		return reconcile.Result{}, errReset
	case item == "Retry-After" && n == 1:
		return reconcile.Result{}, rebound.RetryAfter(errReset, 200*time.Millisecond)
	case item == "Retry-After":
		s.last()
	}
	return reconcile.Result{}, nil
}

func TestController(t *testing.T) {
	p := &rebound.Policy{Backoff: backoff.Constant(10 * time.Millisecond), Attempts: 1,
		MaxElapsed: 100 * time.Millisecond, NonIdempotent: true}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s := &items{map[string][]time.Time{}, cancel}
	r := newReconciler(p, s)
	c, err := controller.NewTypedUnmanaged("items", controller.TypedOptions[string]{
		Reconciler: r, RateLimiter: r, // of one worker
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"transient": 4, "permanent": 2, "Retry-After": 2, "periodic": 2, "ok": 1}
	err = c.Watch(source.TypedFunc[string](
		func(_ context.Context, q workqueue.TypedRateLimitingInterface[string]) error {
			for item := range want {
				q.Add(item)
			}
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	for item, n := range want {
		if got := len(s.at[item]); got != n || r.NumRequeues(item) != 0 {
			t.Errorf("%s: %d attempts, want %d; %d failures are kept",
				item, got, n, r.NumRequeues(item))
		}
	}
	took := func(item string) time.Duration {
		at := s.at[item]
		return at[len(at)-1].Sub(at[0])
	}
	if took("Retry-After") < 200*time.Millisecond || took("transient") < 30*time.Millisecond {
		t.Errorf("the delays were %v and %v", took("Retry-After"), took("transient"))
	}
}

// A controller that stops does not end its items.
func TestControllerStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newReconciler(&rebound.Policy{}, reconcile.TypedFunc[string](
		func(ctx context.Context, _ string) (reconcile.Result, error) {
			return reconcile.Result{}, ctx.Err()
		}))
	if _, err := r.Reconcile(ctx, "a"); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
