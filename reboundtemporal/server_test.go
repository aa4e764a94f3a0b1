package reboundtemporal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/internal/daemon"
	"github.com/rebound-go/rebound/reboundtemporal"
)

// devserver starts the Temporal server that TEMPORAL_DEVSERVER names; CONTRIBUTING.md describes how
// to build it. It is not part of what scripts/test installs, so a test without it skips in CI too.
func devserver(t *testing.T) (*daemon.Daemon, client.Client) {
	t.Helper()
	program := os.Getenv("TEMPORAL_DEVSERVER")
	if program == "" {
		t.Skip("TEMPORAL_DEVSERVER is not set; CONTRIBUTING says how to build one")
	}
	var c client.Client
	d := daemon.Require(t, func() (*daemon.Daemon, error) {
		d, err := daemon.New()
		if err != nil {
			return nil, err
		}
		d.Argv = []string{program, strconv.Itoa(d.Port), filepath.Join(d.Dir, "db")}
		d.Ready = func() error {
			var err error
			if c == nil {
				c, err = client.Dial(client.Options{HostPort: d.Addr(), Logger: silent{}})
			}
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err = c.DescribeTaskQueue(ctx, "ready", 1)
			return err
		}
		return d, d.Run()
	})
	t.Cleanup(c.Close)
	return d, c
}

// sequence is an activity whose attempts fail with errs, one after the other.
type sequence struct {
	mu   sync.Mutex
	errs []error
	at   []time.Time
	do   func(ctx context.Context, attempt int)
}

func (s *sequence) run(ctx context.Context) error {
	s.mu.Lock()
	s.at = append(s.at, time.Now())
	n := len(s.at)
	s.mu.Unlock()
	if s.do != nil {
		s.do(ctx, n)
	}
	if n > len(s.errs) {
		return nil
	}
	return s.errs[n-1]
}

func (s *sequence) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// flow is TestServer's workflow.
type flow struct {
	policy  *rebound.Policy
	timeout time.Duration
}

func (f *flow) run(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: f.timeout, RetryPolicy: reboundtemporal.RetryPolicy(f.policy),
	})
	return workflow.ExecuteActivity(ctx, "run").Get(ctx, nil)
}

// onServer runs a workflow to its end, and returns its error.
func onServer(t *testing.T, c client.Client, f *flow, s *sequence) error {
	t.Helper()
	start(t, c, f, s)
	return wait(t, c, begin(t, c, f))
}

// start starts a worker on a task queue that has the test's name.
func start(t *testing.T, c client.Client, f *flow, s *sequence) worker.Worker {
	t.Helper()
	w := worker.New(c, t.Name(), worker.Options{Interceptors: []interceptor.WorkerInterceptor{
		&reboundtemporal.Interceptor{Policy: f.policy},
	}})
	w.RegisterWorkflowWithOptions(f.run, workflow.RegisterOptions{Name: "flow"})
	w.RegisterActivityWithOptions(s.run, activity.RegisterOptions{Name: "run"})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

func begin(t *testing.T, c client.Client, f *flow) string {
	t.Helper()
	run, err := c.ExecuteWorkflow(t.Context(),
		client.StartWorkflowOptions{TaskQueue: t.Name(), ID: t.Name()}, "flow")
	if err != nil {
		t.Fatal(err)
	}
	return run.GetID()
}

func wait(t *testing.T, c client.Client, id string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	return c.GetWorkflow(ctx, id, "").Get(ctx, nil)
}

// TestServer compares a real server with the test environment.
func TestServer(t *testing.T) {
	d, c := devserver(t)
	quick := backoff.Constant(100 * time.Millisecond)
	t.Run("delays", func(t *testing.T) {
		s := &sequence{errs: []error{unavailable(3 * time.Second), errReset}}
		if err := onServer(t, c, &flow{&rebound.Policy{Backoff: quick}, time.Minute}, s); err != nil {
			t.Fatal(err)
		}
		asked, short := s.at[1].Sub(s.at[0]), s.at[2].Sub(s.at[1])
		t.Logf("Retry-After of 3 s to 3.75 s: %v; backoff of 100 ms: %v", asked, short)
		if asked < 3*time.Second || short < 100*time.Millisecond {
			t.Error("a delay is too short")
		}
	})
	t.Run("permanent", func(t *testing.T) {
		s := &sequence{errs: []error{rebound.Permanent(&declined{errReset})}}
		err := onServer(t, c, &flow{&rebound.Policy{}, time.Minute}, s)
		var act *temporal.ActivityError
		var app *temporal.ApplicationError
		var reason string
		if !errors.As(err, &act) || !errors.As(err, &app) || app.Type() != "declined" ||
			app.Details(&reason) != nil || reason != "not_retryable" || len(s.at) != 1 {
			t.Errorf("%v after %d calls", err, len(s.at))
		}
	})
	t.Run("exhausted", func(t *testing.T) {
		s := &sequence{errs: []error{errReset, errReset, errReset}}
		err := onServer(t, c, &flow{&rebound.Policy{Attempts: 2, Backoff: quick}, time.Minute}, s)
		var act *temporal.ActivityError
		if !errors.As(err, &act) || len(s.at) != 2 ||
			act.RetryState().String() != "MaximumAttemptsReached" {
			t.Errorf("%v after %d calls: %v", err, len(s.at), act.RetryState())
		}
	})
	for name, once := range map[string]bool{"timeout": false, "timeout in doubt": true} {
		t.Run(name, func(t *testing.T) {
			s := &sequence{do: func(ctx context.Context, attempt int) {
				if attempt == 1 {
					<-ctx.Done()
				}
			}}
			p := &rebound.Policy{Backoff: quick, NonIdempotent: once}
			err := onServer(t, c, &flow{p, time.Second}, s)
			if once && (s.calls() != 1 || err == nil) || !once && (s.calls() != 2 || err != nil) {
				t.Errorf("%v after %d calls", err, s.calls())
			}
		})
	}
	t.Run("worker stops", func(t *testing.T) { stops(t, c, false) })
	t.Run("worker stops in doubt", func(t *testing.T) { stops(t, c, true) })
	t.Run("server killed", func(t *testing.T) { killed(t, d, c) })
}

// stops stops a worker in the middle of an activity, and starts another one.
func stops(t *testing.T, c client.Client, once bool) {
	p := &rebound.Policy{Backoff: backoff.Constant(time.Millisecond), NonIdempotent: once}
	f := &flow{p, 20 * time.Second}
	in := make(chan struct{})
	s := &sequence{}
	s.do = func(ctx context.Context, attempt int) {
		if attempt == 1 {
			s.mu.Lock()
			s.errs = []error{context.Canceled}
			s.mu.Unlock()
			close(in)
			<-ctx.Done()
		}
	}
	w := start(t, c, f, s)
	id := begin(t, c, f)
	<-in
	w.Stop()
	start(t, c, f, s)
	err := wait(t, c, id)
	if once && (s.calls() != 1 || err == nil) || !once && (s.calls() != 2 || err != nil) {
		t.Errorf("%v after %d calls", err, s.calls())
	}
}

// killed kills the server between two attempts.
func killed(t *testing.T, d *daemon.Daemon, c client.Client) {
	f := &flow{&rebound.Policy{Backoff: backoff.Constant(3 * time.Second)}, time.Minute}
	failed := make(chan struct{})
	s := &sequence{errs: []error{errReset}}
	s.do = func(_ context.Context, attempt int) {
		if attempt == 1 {
			close(failed)
		}
	}
	start(t, c, f, s)
	id := begin(t, c, f)
	<-failed
	for { // until the server has the failure
		desc, err := c.DescribeWorkflow(t.Context(), id, "")
		if err != nil {
			t.Fatal(err)
		}
		if p := desc.RawResponse.GetPendingActivities(); len(p) == 1 && p[0].GetLastFailure() != nil {
			break
		}
	}
	d.Kill()
	if err := d.Run(); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, c, id); err != nil || s.calls() != 2 {
		t.Fatalf("%v after %d calls", err, s.calls())
	}
	// A server that starts again makes the attempt at once, whatever is left of the delay.
	t.Logf("the second attempt came after %v of 3 s", s.at[1].Sub(s.at[0]))
}
