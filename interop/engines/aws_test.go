package engines

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
)

// underPolicy returns an API option for an AWS client, which then makes its calls under p. Use it
// together with the Retryer aws.NopRetryer.
func underPolicy(p *rebound.Policy) func(*middleware.Stack) error {
	call := middleware.FinalizeMiddlewareFunc("rebound", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (out middleware.FinalizeOutput, md middleware.Metadata, failed error) {
		_, err := rebound.Do(ctx, p, func(ctx context.Context) (struct{}, error) {
			if r, ok := in.Request.(*smithyhttp.Request); ok && failed != nil {
				if err := r.RewindStream(); err != nil { // a body that can be read once
					return struct{}{}, rebound.Permanent(errors.Join(failed, err))
				}
			}
			out, md, failed = next.HandleFinalize(ctx, in)
			return struct{}{}, failed
		})
		return out, md, err
	})
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(call, "Retry", middleware.Before)
	}
}

// answer is what a server of SQS answers.
type answer struct {
	status int
	code   string // of the error
	after  string // Retry-After
}

func serveSQS(t *testing.T, p *rebound.Policy, answers ...answer) (*sqs.Client, *int) {
	t.Helper()
	calls := new(int)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*calls++
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != "{}" {
			t.Errorf("attempt %d has the body %q, %v", *calls, body, err)
		}
		a := answer{status: 200}
		if *calls <= len(answers) {
			a = answers[*calls-1]
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		if a.code == "RequestTimeTooSkewed" {
			w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		}
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
		Region: "eu-central-1", BaseEndpoint: aws.String(srv.URL), Retryer: aws.NopRetryer{},
		APIOptions: []func(*middleware.Stack) error{underPolicy(p)},
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
			[]answer{{400, "InvalidAddress", ""}}, 1, rebound.NotRetryable},
		"exhausted": {t.Context(), &rebound.Policy{Backoff: fast},
			[]answer{unavailable, unavailable, unavailable}, 3, rebound.Exhausted},
		"one attempt": {t.Context(), &rebound.Policy{Attempts: 1, Backoff: fast},
			[]answer{unavailable}, 1, rebound.Exhausted},
		"unlimited": {t.Context(), &rebound.Policy{Attempts: rebound.Unlimited, Backoff: fast},
			[]answer{unavailable, unavailable, unavailable, unavailable}, 5, nil},
		"out of budget": {t.Context(), &rebound.Policy{Backoff: fast, Budget: spent(t)},
			[]answer{unavailable}, 1, budget.ErrEmpty},
		"past the deadline": {short, &rebound.Policy{Backoff: backoff.Constant(time.Minute)},
			[]answer{unavailable}, 1, rebound.PastDeadline},
		"wrong credentials": {t.Context(), &rebound.Policy{Backoff: fast},
			[]answer{{403, "InvalidClientTokenId", ""}}, 1, rebound.NotRetryable},
		"wrong clock": {t.Context(), &rebound.Policy{Backoff: fast},
			[]answer{{403, "RequestTimeTooSkewed", ""}}, 2, nil},
		"too long in all": {t.Context(),
			&rebound.Policy{Backoff: backoff.Constant(time.Minute), MaxElapsed: time.Second},
			[]answer{unavailable}, 1, rebound.PastElapsed},
		"Retry-After too long": {t.Context(), &rebound.Policy{Backoff: fast},
			[]answer{{503, "ServiceUnavailable", "3600"}}, 1, rebound.WaitTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			client, calls := serveSQS(t, test.policy, test.answers...)
			_, err := client.ListQueues(test.ctx, &sqs.ListQueuesInput{})
			if *calls != test.calls || (err == nil) != (test.finds == nil) {
				t.Errorf("%d calls: %v", *calls, err)
			}
			var api interface{ ErrorCode() string }
			if test.finds != nil && (!errors.As(err, &api) || !errors.Is(err, test.finds)) {
				t.Errorf("want the error of the API, and %v: %v", test.finds, err)
			}
		})
	}
}

// A body that can be read once is sent once. The error of the API is not lost.
func TestAWSBody(t *testing.T) {
	client, calls := serveSQS(t, &rebound.Policy{}, answer{503, "ServiceUnavailable", ""})
	once := middleware.SerializeMiddlewareFunc("once", func(
		ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler,
	) (middleware.SerializeOutput, middleware.Metadata, error) {
		r, err := in.Request.(*smithyhttp.Request).SetStream(io.MultiReader(strings.NewReader("{}")))
		if err != nil {
			t.Error(err)
		}
		in.Request = r
		return next.HandleSerialize(ctx, in)
	})
	_, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{}, func(o *sqs.Options) {
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware,
			func(s *middleware.Stack) error { return s.Serialize.Add(once, middleware.After) })
	})
	var api interface{ ErrorCode() string }
	if *calls != 1 || !errors.Is(err, rebound.NotRetryable) || !errors.As(err, &api) ||
		!strings.Contains(err.Error(), "not seekable") {
		t.Errorf("%d calls: %v", *calls, err)
	}
}

// The rest of the policy works, too.
func TestAWSBreaker(t *testing.T) {
	open := &breaker.Breaker{}
	open.ForceOpen()
	events := 0
	client, calls := serveSQS(t, &rebound.Policy{Breaker: open,
		Observe: func(context.Context, rebound.Event) { events++ }})
	_, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if *calls != 0 || events != 1 || !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("%d calls, %d events: %v", *calls, events, err)
	}
}

// A call of another client has its own attempts and budget.
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
