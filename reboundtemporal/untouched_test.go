package reboundtemporal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/reboundtemporal"
)

// TestEndedContexts: Temporal handles the end of an activity's context. But if a worker stops in
// the middle, a NonIdempotent activity is not repeated. There are no details then.
func TestEndedContexts(t *testing.T) {
	canceled, stopped := temporal.NewCanceledError(), worker.ErrWorkerShutdown
	permanent := rebound.Permanent(errReset)
	sent := &rebound.Policy{NonIdempotent: true}
	unsent := &rebound.Policy{NonIdempotent: true, Classify: notSent}
	for name, test := range map[string]struct {
		policy *rebound.Policy
		cause  error
		err    error
		reason rebound.Reason // empty: the error is returned as it is
	}{
		"canceled":                  {nil, canceled, context.Canceled, ""},
		"canceled, not idempotent":  {sent, canceled, context.Canceled, ""},
		"canceled, permanent":       {nil, canceled, permanent, ""},
		"stopped":                   {nil, stopped, context.Canceled, ""},
		"stopped, another error":    {nil, stopped, errReset, ""},
		"stopped, permanent":        {nil, stopped, permanent, rebound.NotRetryable},
		"stopped, not idempotent":   {sent, stopped, context.Canceled, rebound.NotIdempotent},
		"paused, not idempotent":    {sent, errors.New("paused"), errReset, rebound.NotIdempotent},
		"stopped before sending":    {unsent, stopped, errReset, ""},
		"stopped, ApplicationError": {nil, stopped, temporal.NewApplicationError("m", ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &result{recorder: recorder{policy: &temporal.RetryPolicy{MaximumAttempts: 9}}}
			var stop rebound.Reason
			p := test.policy.Clone()
			p.Observe = func(_ context.Context, e rebound.Event) {
				if e.Kind == rebound.GaveUp {
					stop = e.Reason
				}
			}
			r.run(t, p, func(_ context.Context, attempt int) error {
				if attempt > 1 {
					return nil
				}
				r.end(test.cause)
				return test.err
			})
			if test.reason == "" {
				if r.errs[0] != test.err {
					t.Errorf("the worker reports %#v", r.errs[0])
				}
				return
			}
			if app := r.last(t); !app.NonRetryable() || app.HasDetails() {
				t.Errorf("the worker reports %#v, details %v", app, app.HasDetails())
			}
			if stop != test.reason {
				t.Errorf("the reason is %q, want %q", stop, test.reason)
			}
		})
	}
}

func notSent(error) fault.Fault { return fault.Fault{Kind: fault.Transient, Sent: fault.NotSent} }

// TestKept are errors of the SDK, which keep their form.
func TestKept(t *testing.T) {
	for _, err := range []error{
		temporal.NewApplicationError("m", "Type"), temporal.NewCanceledError(),
		temporal.NewTimeoutError(1, nil), &temporal.PanicError{}, &temporal.ActivityError{},
		&temporal.TerminatedError{}, &temporal.ServerError{},
		&temporal.ChildWorkflowExecutionError{}, &temporal.NexusOperationError{},
		&workflow.ContinueAsNewError{},
	} {
		if got := execute(t, &rebound.Policy{}, err); got != err {
			t.Errorf("%T became %#v", err, got)
		}
	}
}

// execute runs an activity that fails with err, and returns what the worker reports, unconverted.
func execute(t *testing.T, p *rebound.Policy, err error) error {
	t.Helper()
	var s testsuite.WorkflowTestSuite
	s.SetLogger(silent{})
	env := s.NewTestActivityEnvironment()
	rec := &recorder{}
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{
		rec, &reboundtemporal.Interceptor{Policy: p}, &failing{err: err},
	}})
	act := func(context.Context) error { return nil }
	env.RegisterActivity(act)
	_, _ = env.ExecuteActivity(act)
	return rec.errs[0]
}

// failing is an interceptor that returns an error in place of the activity's.
type failing struct {
	interceptor.WorkerInterceptorBase
	err error
}

func (f *failing) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &failed{interceptor.ActivityInboundInterceptorBase{Next: next}, f.err}
}

type failed struct {
	interceptor.ActivityInboundInterceptorBase
	err error
}

func (f *failed) ExecuteActivity(
	context.Context, *interceptor.ExecuteActivityInput,
) (any, error) {
	return nil, f.err
}

// counter is a gate that counts how attempts end.
type counter struct {
	in, out int
	last    gate.Outcome
}

func (c *counter) Enter(context.Context) (gate.Pass, error) { c.in++; return gate.Pass{}, nil }
func (c *counter) Leave(_ gate.Pass, o gate.Outcome)        { c.out++; c.last = o }

// An activity that is completed later has not failed.
func TestPending(t *testing.T) {
	c := &counter{}
	p := &rebound.Policy{Gates: []gate.Gate{c}}
	if err := execute(t, p, activity.ErrResultPending); err != activity.ErrResultPending {
		t.Errorf("the worker reports %v", err)
	}
	if c.out != 1 || c.last.Result != gate.OK {
		t.Errorf("the gate: %+v", c)
	}
}

// A permanent failure shows a breaker that the service works, even if the activity declares it.
func TestGatesSeeNonRetryable(t *testing.T) {
	c := &counter{}
	p := &rebound.Policy{Gates: []gate.Gate{c}}
	err := temporal.NewNonRetryableApplicationError("m", "Declined", nil)
	if got := execute(t, p, err); got != err || c.last.Fault.Kind != fault.Permanent {
		t.Errorf("%v, the gate: %+v", got, c)
	}
}

// After a panic the gates are left, and the policy's data decides about the retry.
func TestPanic(t *testing.T) {
	for _, once := range []bool{false, true} {
		c := &counter{}
		p := &rebound.Policy{NonIdempotent: once, Gates: []gate.Gate{c}}
		rp := reboundtemporal.RetryPolicy(p)
		r := run(t, p, rp, func(_ context.Context, attempt int) error {
			if attempt == 1 {
				panic("nil map")
			}
			return nil
		})
		want := 2
		if p.NonIdempotent {
			want = 1
		}
		if c.in != want || c.out != want || (r.err == nil) != (want == 2) {
			t.Errorf("NonIdempotent %v: %v, the gate: %+v", p.NonIdempotent, r.err, c)
		}
	}
}

// Local activities run within a workflow task, which has no time for a policy's delays.
func TestLocalActivity(t *testing.T) {
	c := &counter{}
	p := &rebound.Policy{Gates: []gate.Gate{c}}
	var s testsuite.WorkflowTestSuite
	s.SetLogger(silent{})
	env := s.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{
		&reboundtemporal.Interceptor{Policy: p},
	}})
	own := rebound.Permanent(errReset)
	_, err := env.ExecuteLocalActivity(func(context.Context) error { return own })
	if !errors.Is(err, own) || c.in != 0 {
		t.Errorf("%v, the gate: %+v", err, c)
	}
}

// Each activity may have a policy, by its name.
func TestActivities(t *testing.T) {
	var s testsuite.WorkflowTestSuite
	s.SetLogger(silent{})
	env := s.NewTestActivityEnvironment()
	rec := &recorder{}
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{
		rec, &reboundtemporal.Interceptor{
			Policy:     &rebound.Policy{Attempts: 1},
			Activities: map[string]*rebound.Policy{"charge": {Attempts: 2}},
		},
	}})
	act := func(context.Context) error { return errReset }
	for _, name := range []string{"charge", "mail"} {
		env.RegisterActivityWithOptions(act, activity.RegisterOptions{Name: name})
		_, _ = env.ExecuteActivity(name)
	}
	if rec.errs[0].(*temporal.ApplicationError).NonRetryable() ||
		!rec.errs[1].(*temporal.ApplicationError).NonRetryable() {
		t.Errorf("the worker reports %v", rec.errs)
	}
}

// The policy's own timeout is a failure like any other. An invalid policy is not the activity's.
func TestAttemptTimeout(t *testing.T) {
	p := &rebound.Policy{AttemptTimeout: time.Millisecond}
	r := run(t, p, nil, func(ctx context.Context, attempt int) error {
		if attempt == 1 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	if r.err != nil || r.calls != 2 {
		t.Errorf("%d calls: %v", r.calls, r.err)
	}
	if err := execute(t, &rebound.Policy{Attempts: -7}, errReset); err != errReset {
		t.Errorf("the worker reports %v under an invalid policy", err)
	}
}
