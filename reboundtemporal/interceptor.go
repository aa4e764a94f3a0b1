package reboundtemporal

import (
	"context"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/rebound-go/rebound"
)

// Interceptor runs each activity of a worker as one attempt under the policy: behind its gates and
// its breaker, within its AttemptTimeout, with its events. The policy decides what follows a
// failure:
//
//   - A failure that is not retried, and one after the policy's last attempt, is not retryable. The
//     error's first detail is the [rebound.Reason], a string, unless the worker stops.
//   - Any other failure has the policy's delay as its NextRetryDelay. A Retry-After delay is a
//     lower bound of it, and so is the time until a breaker or a limit may admit an attempt.
//
// The workflow gets a *temporal.ApplicationError with the message, the type and the causes that
// Temporal gives an error without the interceptor. Marks such as [rebound.Permanent] have no type:
// it is that of the error inside.
//
// These are returned as they are: an error of the SDK that the activity returns, such as a
// *temporal.ApplicationError or activity.ErrResultPending; the error of an activity that is
// canceled or whose worker stops; and all of local activities. An ApplicationError inside another
// error counts: its NonRetryable is a permanent failure, and its NextRetryDelay a Retry-After
// delay. Under a NonIdempotent policy the end of the worker makes the error not retryable. The
// policy's budget is not charged: Temporal keeps its activities.
//
// List it first in worker.Options: interceptors after it see the activity's own error. The zero
// Interceptor is ready: its policy is the zero rebound.Policy.
type Interceptor struct {
	interceptor.WorkerInterceptorBase
	// Policy is that of every activity without a policy of its own. Nil = the zero rebound.Policy.
	Policy *rebound.Policy
	// Activities are the policies of activities, by the name of their type. Nil = none.
	Activities map[string]*rebound.Policy
}

var _ interceptor.WorkerInterceptor = (*Interceptor)(nil)

// InterceptActivity implements interceptor.WorkerInterceptor.
func (i *Interceptor) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &inbound{interceptor.ActivityInboundInterceptorBase{Next: next}, i}
}

type inbound struct {
	interceptor.ActivityInboundInterceptorBase
	*Interceptor
}

// ExecuteActivity makes one attempt.
func (in *inbound) ExecuteActivity(
	ctx context.Context, input *interceptor.ExecuteActivityInput,
) (any, error) {
	info := activity.GetInfo(ctx)
	if info.IsLocalActivity {
		return in.Next.ExecuteActivity(ctx, input)
	}
	p, ok := in.Activities[info.ActivityType.Name]
	if !ok {
		p = in.Policy
	}
	l := rebound.Resume(ctx, p, before(p, &info))
	var own error // the activity's
	v, err := rebound.Try(&l, func(attempt context.Context) (v any, err error) {
		v, own = in.Next.ExecuteActivity(attempt, input)
		if own == activity.ErrResultPending {
			return v, nil
		}
		return v, marked(own)
	})
	if err == nil {
		l.Succeed()
		return v, own
	}
	a := attempt{ctx, &l, p, &info, own, err}
	return v, a.outcome()
}
