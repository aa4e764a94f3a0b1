package reboundgrpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/reboundgrpc"
)

func TestServiceConfigText(t *testing.T) {
	all := `"retryableStatusCodes":["CANCELLED","UNKNOWN","DEADLINE_EXCEEDED",` +
		`"RESOURCE_EXHAUSTED","ABORTED","INTERNAL","UNAVAILABLE"]`
	throttled := `,"retryThrottling":{"maxTokens":20,"tokenRatio":0.1}`
	onlyUnavailable := func(err error) fault.Fault {
		if status.Code(err) == codes.Unavailable {
			return fault.Fault{Kind: fault.Transient}
		}
		return fault.Fault{Kind: fault.Permanent}
	}
	for _, tt := range []struct {
		name   string
		policy *rebound.Policy
		want   string
	}{
		{"nil", nil, `{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":3,` +
			`"initialBackoff":"0.1s","maxBackoff":"30s","backoffMultiplier":2,` + all + `}}]` +
			throttled + `}`},
		{"one attempt", &rebound.Policy{Attempts: 1, MaxElapsed: 1500 * time.Millisecond},
			`{"methodConfig":[{"name":[{}],"timeout":"1.5s"}]}`},
		{"constant, unlimited", &rebound.Policy{Attempts: 5, Budget: budget.Unlimited,
			Backoff: backoff.Constant(time.Nanosecond)},
			`{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":5,` +
				`"initialBackoff":"0.000000001s","maxBackoff":"0.000000001s",` +
				`"backoffMultiplier":1,` + all + `}}]}`},
		{"not idempotent", &rebound.Policy{NonIdempotent: true, Attempts: 2,
			Budget: &budget.Budget{Capacity: 3, Deposit: 0.5}, Backoff: backoff.Exponential{
				Base: time.Second, Max: 10 * time.Second, Factor: 1.5}},
			`{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":2,` +
				`"initialBackoff":"1s","maxBackoff":"10s","backoffMultiplier":1.5,` +
				`"retryableStatusCodes":["ABORTED"]}}],` +
				`"retryThrottling":{"maxTokens":6,"tokenRatio":0.5}}`},
		{"classified", &rebound.Policy{Classify: onlyUnavailable, MaxElapsed: time.Millisecond},
			`{"methodConfig":[{"name":[{}],"timeout":"0.001s","retryPolicy":{"maxAttempts":3,` +
				`"initialBackoff":"0.1s","maxBackoff":"30s","backoffMultiplier":2,` +
				`"retryableStatusCodes":["UNAVAILABLE"]}}]` + throttled + `}`},
		{"nothing is retried",
			&rebound.Policy{RetryIf: func(fault.Fault) bool { return false }},
			`{"methodConfig":[{"name":[{}]}]}`},
	} {
		got, err := reboundgrpc.ServiceConfig(tt.policy)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %s, %v\nwant %s", tt.name, got, err, tt.want)
		}
		conn, err := grpc.NewClient("localhost:1", grpc.WithDefaultServiceConfig(got),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Errorf("%s: gRPC does not take %s: %v", tt.name, got, err)
			continue
		}
		_ = conn.Close()
	}
}

func TestServiceConfigErrors(t *testing.T) {
	observe := func(context.Context, rebound.Event) {}
	for field, p := range map[string]*rebound.Policy{
		"Attempts is -7":    {Attempts: -7},
		"Policy.Attempts":   {Attempts: 6},
		"at most 5":         {Attempts: rebound.Unlimited},
		"AttemptTimeout":    {AttemptTimeout: time.Second},
		"MaxRetryAfter":     {MaxRetryAfter: time.Second},
		"Throttled":         {Throttled: backoff.Constant(1)},
		"Policy.Breaker":    {Breaker: &breaker.Breaker{}},
		"Policy.Gates":      {Gates: []gate.Gate{&limit.Concurrency{Max: 1}}},
		"Policy.Observe":    {Observe: observe},
		"more than 0":       {Backoff: backoff.Constant(0)},
		"backoff.Constant":  {Backoff: backoff.Fibonacci{}},
		"without a Min":     {Backoff: backoff.Exponential{Min: 1}},
		"at most 500":       {Budget: &budget.Budget{Capacity: 501}},
		"a Deposit of more": {Budget: &budget.Budget{Deposit: budget.None}},
	} {
		got, err := reboundgrpc.ServiceConfig(p)
		if err == nil || got != "" || !strings.Contains(err.Error(), field) {
			t.Errorf("got %q, %v: want an error with %q", got, err, field)
		}
	}
}

func TestServiceConfigDurations(t *testing.T) {
	for _, d := range []time.Duration{
		1, 999, time.Second + 1, 123456789 * time.Microsecond, 1<<53 + 1, math.MaxInt64,
	} {
		text, err := reboundgrpc.ServiceConfig(&rebound.Policy{MaxElapsed: d})
		if err != nil {
			t.Fatal(err)
		}
		var read struct{ MethodConfig []struct{ Timeout string } }
		if err := json.Unmarshal([]byte(text), &read); err != nil {
			t.Fatal(err)
		}
		got, err := time.ParseDuration(read.MethodConfig[0].Timeout)
		if err != nil || got != d {
			t.Errorf("%v became %q: %v, %v", d, read.MethodConfig[0].Timeout, got, err)
		}
	}
}

// The native engine retries what the config lists.
func TestServiceConfigRuns(t *testing.T) {
	config, err := reboundgrpc.ServiceConfig(&rebound.Policy{
		Backoff: backoff.Constant(time.Millisecond), Budget: budget.Unlimited,
	})
	if err != nil {
		t.Fatal(err)
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		native, ours := failing(1, fail(code)), failing(1, fail(code))
		addr, _ := serve(t, native)
		conn, err := grpc.NewClient(addr, grpc.WithDefaultServiceConfig(config),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		_, nativeErr := call(t.Context(), conn)
		_ = conn.Close()
		addr, _ = serve(t, ours)
		_, err = call(t.Context(), dial(t, addr, quick(3)))
		if status.Code(nativeErr) != status.Code(err) || native.calls.Load() != ours.calls.Load() {
			t.Errorf("%v: gRPC made %d calls and returned %v, we %d and %v",
				code, native.calls.Load(), nativeErr, ours.calls.Load(), err)
		}
	}
}

// Where gRPC retries as well, attempts multiply. DialOptions switches that off.
func TestNativeRetryIsOff(t *testing.T) {
	config, err := reboundgrpc.ServiceConfig(&rebound.Policy{
		Backoff: backoff.Constant(time.Millisecond), Budget: budget.Unlimited,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		opts []grpc.DialOption
		want int64
	}{
		{reboundgrpc.DialOptions(quick(3)), 3},
		{[]grpc.DialOption{grpc.WithUnaryInterceptor(reboundgrpc.Unary(quick(3)))}, 9},
	} {
		s := failing(99, fail(codes.Unavailable))
		addr, _ := serve(t, s)
		conn, err := grpc.NewClient(addr, append(tt.opts, grpc.WithDefaultServiceConfig(config),
			grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = call(t.Context(), conn)
		_ = conn.Close()
		if !errors.Is(err, rebound.Exhausted) || s.calls.Load() != tt.want {
			t.Errorf("%d calls, %v: want %d", s.calls.Load(), err, tt.want)
		}
	}
}

// A header from the server commits gRPC's own retry, and not ours.
func TestHeaderDoesNotCommit(t *testing.T) {
	s := failing(2, fail(codes.Unavailable))
	unary, stream := s.unary, s.stream
	s.unary = func(ctx context.Context, n int, req *text) (*text, error) {
		if err := grpc.SendHeader(ctx, metadata.Pairs("a", "b")); err != nil {
			t.Error(err)
		}
		return unary(ctx, n, req)
	}
	s.stream = func(n int, req *text, st grpc.ServerStream) error {
		if err := st.SendHeader(metadata.Pairs("a", "b")); err != nil {
			t.Error(err)
		}
		return stream(n, req, st)
	}
	addr, _ := serve(t, s)
	conn := dial(t, addr, quick(3))
	if got, err := call(t.Context(), conn); got != "answer" || err != nil {
		t.Errorf("unary returned %q, %v", got, err)
	}
	s.calls.Store(0)
	st, err := open(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(st); len(got) != 2 || err != nil {
		t.Errorf("the stream was %q, %v", got, err)
	}
}
