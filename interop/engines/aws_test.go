package engines

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
)

// awsRetryer is a policy as the Retryer of one client. MaxElapsed and Breaker have no effect.
type awsRetryer struct{ *rebound.Policy }

var _ aws.RetryerV2 = awsRetryer{}

func (r awsRetryer) decide(ctx context.Context, n int, err error) rebound.Decision {
	s := rebound.State{Attempt: n, U: rand.Float64()}
	if deadline, ok := ctx.Deadline(); ok {
		s.Left = max(time.Until(deadline), 1)
	}
	return r.Decide(s, r.Fault(ctx, err))
}

func (r awsRetryer) MaxAttempts() int { return max(r.Policy.MaxAttempts(), 0) } // 0 = no limit

func (r awsRetryer) IsErrorRetryable(err error) bool {
	d := r.decide(context.Background(), 1, err)
	return d.Retry || d.Reason == rebound.Exhausted // the SDK counts
}

// GetRetryToken joins its error to that of the API.
func (r awsRetryer) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	d := r.decide(ctx, 1, err)
	b := r.RetryBudget()
	switch {
	case d.Reason != "" && d.Reason != rebound.Exhausted:
		return nil, d.Reason // the delay would pass the context's deadline
	case b == nil || r.Fault(ctx, err).Kind == fault.RateLimited:
		return released, nil
	}
	return released, b.Take()
}

func (r awsRetryer) RetryDelay(n int, err error) (time.Duration, error) {
	return r.decide(context.Background(), n, err).Delay, nil
}

func (r awsRetryer) GetAttemptToken(context.Context) (func(error) error, error) {
	return func(err error) error {
		if b := r.RetryBudget(); err == nil && b != nil {
			b.Success()
		}
		return nil
	}, nil
}

func (r awsRetryer) GetInitialToken() func(error) error { return released }

func released(error) error { return nil }

// answer is what a server of SQS answers.
type answer struct {
	status int
	code   string // of the error
	after  string // Retry-After
}

func serveSQS(t *testing.T, p *rebound.Policy, answers ...answer) (*sqs.Client, *int) {
	t.Helper()
	calls := new(int)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*calls++
		a := answer{status: 200}
		if *calls <= len(answers) {
			a = answers[*calls-1]
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		if a.after != "" {
			w.Header().Set("Retry-After", a.after)
		}
		if a.status == 0 { // the connection ends
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(a.status)
		if a.code != "" {
			_, _ = io.WriteString(w, `{"__type":"com.amazonaws.sqs#`+a.code+`","message":"m"}`)
			return
		}
		_, _ = io.WriteString(w, `{"QueueUrls":[]}`)
	}))
	srv.Config.ErrorLog = nil
	t.Cleanup(srv.Close)
	return sqs.New(sqs.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(srv.URL), Retryer: awsRetryer{p},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
		}),
	}), calls
}

func TestAWS(t *testing.T) {
	fast := backoff.Constant(time.Millisecond)
	unavailable := answer{503, "ServiceUnavailable", ""}
	throttled := answer{400, "ThrottlingException", ""}
	short, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for name, test := range map[string]struct {
		ctx     context.Context
		policy  *rebound.Policy
		answers []answer
		calls   int
		finds   error // in the error; nil = success
	}{
		"transient": {t.Context(), &rebound.Policy{Backoff: fast},
			[]answer{unavailable, unavailable}, 3, nil},
		"throttled":       {t.Context(), &rebound.Policy{Backoff: fast}, []answer{throttled}, 2, nil},
		"connection ends": {t.Context(), &rebound.Policy{Backoff: fast}, []answer{{}}, 2, nil},
		"permanent": {t.Context(), &rebound.Policy{Backoff: fast},
			[]answer{{400, "InvalidAddress", ""}}, 1, errAny},
		"exhausted": {t.Context(), &rebound.Policy{Backoff: fast},
			[]answer{unavailable, unavailable, unavailable}, 3, errAny},
		"one attempt": {t.Context(), &rebound.Policy{Attempts: 1, Backoff: fast},
			[]answer{unavailable}, 1, errAny},
		"unlimited": {t.Context(), &rebound.Policy{Attempts: rebound.Unlimited, Backoff: fast},
			[]answer{unavailable, unavailable, unavailable, unavailable}, 5, nil},
		"out of budget": {t.Context(), &rebound.Policy{Backoff: fast, Budget: spent(t)},
			[]answer{unavailable}, 1, budget.ErrEmpty},
		"past the deadline": {short, &rebound.Policy{Backoff: backoff.Constant(time.Minute)},
			[]answer{unavailable}, 1, rebound.PastDeadline},
		"Retry-After too long": {t.Context(), &rebound.Policy{Backoff: fast},
			[]answer{{503, "ServiceUnavailable", "3600"}}, 1, errAny},
	} {
		t.Run(name, func(t *testing.T) {
			client, calls := serveSQS(t, test.policy, test.answers...)
			_, err := client.ListQueues(test.ctx, &sqs.ListQueuesInput{})
			if *calls != test.calls || (err == nil) != (test.finds == nil) {
				t.Errorf("%d calls: %v", *calls, err)
			}
			var api interface{ ErrorCode() string }
			if test.finds != nil && (!errors.As(err, &api) ||
				test.finds != errAny && !errors.Is(err, test.finds)) {
				t.Errorf("the error of the API, and %v: %v", test.finds, err)
			}
		})
	}
}

var errAny = errors.New("any")

// A call of another client has attempts and a budget of its own.
func TestAWSBudget(t *testing.T) {
	p := &rebound.Policy{Backoff: backoff.Constant(0)}
	many := make([]answer, 0, 100)
	for range 100 {
		many = append(many, answer{503, "ServiceUnavailable", ""})
	}
	client, calls := serveSQS(t, p, many...)
	for range 30 {
		_, _ = client.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	}
	if size := int(p.RetryBudget().Size()); *calls != 30+size {
		t.Errorf("30 calls that fail were %d attempts, with a budget of %d", *calls, size)
	}
}
