package reboundtemporal_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundtemporal"
)

// recorder keeps what the worker reports to Temporal after each attempt.
type recorder struct {
	interceptor.WorkerInterceptorBase
	sync.Mutex
	policy *temporal.RetryPolicy // what the server would report; the test environment does not
	// Of the attempt under way, unless zero.
	attempt   int32
	scheduled time.Time

	errs []error
	end  context.CancelCauseFunc // ends the context of the attempt under way
}

func (r *recorder) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &recording{interceptor.ActivityInboundInterceptorBase{Next: next}, r}
}

type recording struct {
	interceptor.ActivityInboundInterceptorBase
	*recorder
}

func (r *recording) Init(next interceptor.ActivityOutboundInterceptor) error {
	return r.Next.Init(&outbound{interceptor.ActivityOutboundInterceptorBase{Next: next}, r.recorder})
}

type outbound struct {
	interceptor.ActivityOutboundInterceptorBase
	*recorder
}

func (o *outbound) GetInfo(ctx context.Context) activity.Info {
	info := o.Next.GetInfo(ctx)
	info.RetryPolicy = o.policy
	if o.attempt > 0 {
		info.Attempt, info.ScheduledTime = o.attempt, o.scheduled
	}
	return info
}

func (r *recording) ExecuteActivity(
	ctx context.Context, in *interceptor.ExecuteActivityInput,
) (any, error) {
	ctx, r.end = context.WithCancelCause(ctx)
	v, err := r.Next.ExecuteActivity(ctx, in)
	r.Lock()
	defer r.Unlock()
	r.errs = append(r.errs, err)
	return v, err
}

// last is the last attempt's error, which must be one of Temporal's.
func (r *recorder) last(t *testing.T) *temporal.ApplicationError {
	t.Helper()
	app, ok := r.errs[len(r.errs)-1].(*temporal.ApplicationError)
	if !ok {
		t.Fatalf("the worker reports %#v", r.errs)
	}
	return app
}

// result is the outcome of an activity.
type result struct {
	recorder
	calls int
	err   error // the workflow's
}

// run executes an activity in the test environment of the SDK, whose clock skips delays.
func run(
	t *testing.T, p *rebound.Policy, rp *temporal.RetryPolicy,
	act func(ctx context.Context, attempt int) error,
) *result {
	t.Helper()
	r := &result{recorder: recorder{policy: rp}}
	r.run(t, p, act)
	return r
}

func (r *result) run(
	t *testing.T, p *rebound.Policy, act func(ctx context.Context, attempt int) error,
) {
	t.Helper()
	r.err = runIn(t, []interceptor.WorkerInterceptor{&r.recorder,
		&reboundtemporal.Interceptor{Policy: p}}, r.policy, func(ctx context.Context) error {
		r.Lock()
		r.calls++
		n := r.calls
		r.Unlock()
		return act(ctx, n)
	})
}

func runIn(
	t *testing.T, in []interceptor.WorkerInterceptor, rp *temporal.RetryPolicy,
	act func(ctx context.Context) error,
) error {
	t.Helper()
	var s testsuite.WorkflowTestSuite
	s.SetLogger(silent{})
	env := s.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: in})
	env.SetTestTimeout(20 * time.Second)
	env.RegisterActivity(act)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: time.Hour, RetryPolicy: rp,
		})
		return workflow.ExecuteActivity(ctx, act).Get(ctx, nil)
	})
	if !env.IsWorkflowCompleted() {
		t.Fatal("the workflow has not ended")
	}
	return env.GetWorkflowError()
}

// cause is the failure of the activity that the workflow finds in its error.
func (r *result) cause(t *testing.T) *temporal.ApplicationError {
	t.Helper()
	var act *temporal.ActivityError
	var app *temporal.ApplicationError
	if !errors.As(r.err, &act) || !errors.As(act, &app) {
		t.Fatalf("the workflow's error is %#v", r.err)
	}
	return app
}

// reasonIn is the detail of a failure that is not retried.
func reasonIn(app *temporal.ApplicationError) (r rebound.Reason) {
	var word string
	if app.Details(&word) != nil {
		return ""
	}
	return rebound.Reason(word)
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
