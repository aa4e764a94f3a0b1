package reboundtemporal_test

import (
	"context"
	"testing"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/reboundtemporal"
)

// loop is an interceptor that executes an activity b.N times instead of once.
type loop struct {
	interceptor.WorkerInterceptorBase
	b *testing.B
}

func (l *loop) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &looping{interceptor.ActivityInboundInterceptorBase{Next: next}, l.b}
}

type looping struct {
	interceptor.ActivityInboundInterceptorBase
	b *testing.B
}

func (l *looping) ExecuteActivity(
	ctx context.Context, in *interceptor.ExecuteActivityInput,
) (v any, err error) {
	l.b.ReportAllocs()
	for l.b.Loop() {
		v, err = l.Next.ExecuteActivity(ctx, in)
	}
	return v, err
}

// BenchmarkActivity measures what Interceptor adds to an activity that does nothing, and to one
// that fails. No server is involved.
func BenchmarkActivity(b *testing.B) {
	for name, err := range map[string]error{"success": nil, "failure": errReset} {
		for kind, in := range map[string][]interceptor.WorkerInterceptor{
			"without": {},
			"with":    {&reboundtemporal.Interceptor{Policy: &rebound.Policy{}}},
		} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				var s testsuite.WorkflowTestSuite
				s.SetLogger(silent{})
				env := s.NewTestActivityEnvironment()
				env.SetWorkerOptions(worker.Options{Interceptors: append(
					[]interceptor.WorkerInterceptor{&loop{b: b}}, in...)})
				act := func(context.Context) error { return err }
				env.RegisterActivity(act)
				_, _ = env.ExecuteActivity(act)
			})
		}
	}
}
