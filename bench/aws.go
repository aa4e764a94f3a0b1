package bench

import (
	"context"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
)

// The AWS SDK has no retry function for other calls than its own. Its loop is a middleware, which
// also records spans, metrics and metadata.
var awsEntries = []Entry{
	{"retry_ok", "aws-sdk", Peer, "whole middleware, token bucket", awsOK, nil, nil},
	{"retry_2fail", "aws-sdk", Peer, "whole middleware, no token bucket", awsFlaky, nil, nil},
	{"delay", "aws-sdk", Peer, "crypto/rand, base 1 s", awsDelay, nil, nil},
	{"budget_ok", "aws-sdk", Peer, "TokenRateLimit.AddTokens(1)", func() Op {
		l := ratelimit.NewTokenRateLimit(500)
		return func(context.Context, int) (int, error) { return 0, l.AddTokens(1) }
	}, nil, nil},
	{"budget_debt", "aws-sdk", Peer, "TokenRateLimit.AddTokens(1)", awsDebt, nil, nil},
	{"budget_take", "aws-sdk", Peer, "TokenRateLimit.GetToken(5), release", awsTake, nil, nil},
}

// manyTokens is more than a benchmark ever adds.
const manyTokens = math.MaxUint / 16

// awsDebt has a bucket that is half empty, and never becomes full.
func awsDebt() Op {
	l := ratelimit.NewTokenRateLimit(manyTokens)
	if _, err := l.GetToken(context.Background(), manyTokens/2); err != nil {
		panic(err)
	}
	return func(context.Context, int) (int, error) { return 0, l.AddTokens(1) }
}

type awsRetrier struct{ middleware *retry.Attempt }

func newAWS(options ...func(*retry.StandardOptions)) awsRetrier {
	options = append(options, func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.Retryables = []retry.IsErrorRetryable{
			retry.IsErrorRetryableFunc(func(error) aws.Ternary { return aws.TrueTernary }),
		}
	})
	same := func(v any) any { return v }
	return awsRetrier{retry.NewAttemptMiddleware(retry.NewStandard(options...), same)}
}

func (r awsRetrier) do(ctx context.Context, f func(context.Context) (int, error)) (int, error) {
	out, _, err := r.middleware.HandleFinalize(ctx, middleware.FinalizeInput{},
		middleware.FinalizeHandlerFunc(func(
			ctx context.Context, _ middleware.FinalizeInput,
		) (middleware.FinalizeOutput, middleware.Metadata, error) {
			v, err := f(ctx)
			return middleware.FinalizeOutput{Result: v}, middleware.Metadata{}, err
		}))
	if err != nil {
		return 0, err
	}
	return out.Result.(int), nil
}

func awsOK() Op {
	r := newAWS()
	return func(ctx context.Context, id int) (int, error) {
		return r.do(ctx, func(ctx context.Context) (int, error) { return work(ctx, id) })
	}
}

func awsFlaky() Op {
	r := newAWS(func(o *retry.StandardOptions) {
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) {
			return 0, nil
		})
	})
	return func(ctx context.Context, id int) (int, error) {
		n := 0
		return r.do(ctx, func(ctx context.Context) (int, error) { return flaky(ctx, &n, id) })
	}
}

func awsDelay() Op {
	b := retry.NewExponentialJitterBackoff(maxDelay)
	return func(_ context.Context, id int) (int, error) {
		d, err := b.BackoffDelay(id&7, errTransient)
		return int(d), err
	}
}

func awsTake() Op {
	l := ratelimit.NewTokenRateLimit(500)
	return func(ctx context.Context, _ int) (int, error) {
		release, err := l.GetToken(ctx, 5)
		if err != nil {
			return 0, err
		}
		return 0, release()
	}
}
