package reboundgrpc

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
)

const (
	// The bounds of gRFC A6. gRPC lowers a larger maxAttempts without an error, and rejects a larger
	// maxTokens.
	maxNativeAttempts = 5    // gRPC's largest maxAttempts
	maxNativeTokens   = 1000 // of retryThrottling

	defaultDeposit = 0.1 // of budget.Budget
)

// serviceConfig is the part of the JSON for grpc.WithDefaultServiceConfig that a policy can
// express.
type serviceConfig struct {
	MethodConfig    []methodConfig `json:"methodConfig"`
	RetryThrottling *throttling    `json:"retryThrottling,omitempty"`
}

type methodConfig struct {
	Name        []struct{}   `json:"name"` // one empty name: all methods
	Timeout     string       `json:"timeout,omitempty"`
	RetryPolicy *retryPolicy `json:"retryPolicy,omitempty"`
}

type retryPolicy struct {
	MaxAttempts          int      `json:"maxAttempts"`
	InitialBackoff       string   `json:"initialBackoff"`
	MaxBackoff           string   `json:"maxBackoff"`
	BackoffMultiplier    float64  `json:"backoffMultiplier"`
	RetryableStatusCodes []string `json:"retryableStatusCodes"`
}

type throttling struct {
	MaxTokens  float64 `json:"maxTokens"`
	TokenRatio float64 `json:"tokenRatio"`
}

// ServiceConfig returns p as a service config in JSON, for programs that prefer gRPC's own retry. A
// nil p is the zero policy. Pass the result to grpc.WithDefaultServiceConfig, for a connection
// without the interceptors of this package. The config applies to all methods. MaxElapsed becomes
// the timeout, and the budget becomes retryThrottling. The codes are those that p retries if an
// error has nothing but the code.
//
// It returns an error for what gRPC cannot do: more than 5 attempts, a backoff that is neither
// constant nor exponential, and the fields AttemptTimeout, MaxRetryAfter, Throttled, Breaker, Gates
// and Observe. Some differences remain:
//   - The jitter is always ±20 %.
//   - All codes have the same backoff.
//   - The budget belongs to a connection and has no Refill.
//   - Delays ignore RetryInfo and the deadline.
func ServiceConfig(p *rebound.Policy) (string, error) {
	if p == nil {
		p = &rebound.Policy{}
	}
	if err := p.Validate(); err != nil {
		return "", fmt.Errorf("reboundgrpc: ServiceConfig: %w", err)
	}
	// An error is better than a config that does less than the policy.
	if err := inexpressible(p); err != nil {
		return "", err
	}
	// One config serves all methods. A program with several policies can combine their configs.
	m := methodConfig{Name: make([]struct{}, 1)}
	if p.MaxElapsed > 0 {
		m.Timeout = seconds(p.MaxElapsed)
	}
	config := serviceConfig{}
	// A retry policy without codes is an error in gRPC, so it is left out.
	if retried := retriedCodes(p); len(retried) > 0 {
		r, err := nativeBackoff(p.Backoff)
		if err != nil {
			return "", err
		}
		r.MaxAttempts, r.RetryableStatusCodes = p.MaxAttempts(), retried
		m.RetryPolicy = r
		if config.RetryThrottling, err = nativeBudget(p); err != nil {
			return "", err
		}
	}
	config.MethodConfig = []methodConfig{m}
	text, err := json.Marshal(config)
	return string(text), err
}

// inexpressible returns an error that names the first field of p that a service config cannot
// express.
func inexpressible(p *rebound.Policy) error {
	if n := p.MaxAttempts(); n == rebound.Unlimited || n > maxNativeAttempts {
		return cannot("Attempts", "at most %d attempts", maxNativeAttempts)
	}
	for _, f := range []struct {
		field string
		set   bool
	}{
		{"AttemptTimeout", p.AttemptTimeout > 0},
		{"MaxRetryAfter", p.MaxRetryAfter > 0},
		{"Throttled", p.Throttled != nil},
		{"Breaker", p.Breaker != nil},
		{"Gates", len(p.Gates) > 0},
		{"Observe", p.Observe != nil},
	} {
		if f.set {
			return cannot(f.field, "it unset, or DialOptions instead")
		}
	}
	return nil
}

// cannot is the error for a field that gRPC's own retry does not support.
func cannot(field, want string, args ...any) error {
	return fmt.Errorf("reboundgrpc: ServiceConfig: gRPC's own retry cannot do Policy.%s: want %s",
		field, fmt.Sprintf(want, args...))
}

// retriedCodes are the names of the codes that p retries.
func retriedCodes(p *rebound.Policy) (names []string) {
	// The policy itself decides, so that the codes follow its Classify and RetryIf.
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		f := p.Fault(context.Background(), status.Error(c, ""))
		d := p.Decide(rebound.State{Attempt: 1, U: -1}, f)
		if d.Retry || d.Reason == rebound.PastElapsed { // jitter may shorten the delay
			names = append(names, nameOf(c))
		}
	}
	return names
}

// nameOf returns a code's name in service configs, such as DEADLINE_EXCEEDED.
func nameOf(c codes.Code) string {
	// Service configs spell this name with two L, and Go with one.
	if c == codes.Canceled {
		return "CANCELLED"
	}
	var b strings.Builder
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// nativeBackoff returns gRPC's form of b, without its jitter.
func nativeBackoff(b backoff.Backoff) (*retryPolicy, error) {
	r := &retryPolicy{BackoffMultiplier: 1}
	switch b := b.(type) {
	case nil:
		return nativeBackoff(backoff.Exponential{})
	// A negative Constant is invalid, so b is at least 0 here.
	case backoff.Constant:
		// gRPC requires a delay of more than 0.
		if b == 0 {
			return nil, cannot("Backoff", "a delay of more than 0")
		}
		r.InitialBackoff = seconds(time.Duration(b))
		r.MaxBackoff = r.InitialBackoff
		return r, nil
	// A Factor of 0 becomes the default.
	case backoff.Exponential:
		// gRPC's jitter shortens delays, so there can be no Min.
		if b.Min > 0 {
			return nil, cannot("Backoff", "an Exponential without a Min")
		}
		base := b.Delay(1, 0, -1)
		r.InitialBackoff = seconds(base)
		r.MaxBackoff = seconds(max(b.Delay(math.MaxInt32, 0, -1), base))
		r.BackoffMultiplier = cmp.Or(b.Factor, growth(b.Base))
		return r, nil
	}
	return nil, cannot("Backoff", "a backoff.Exponential or a backoff.Constant")
}

// growth returns the default Factor of package backoff, computed from two delays. Max is set so
// that it does not shorten these delays.
func growth(base time.Duration) float64 {
	b := backoff.Exponential{Base: base, Max: math.MaxInt64}
	return float64(b.Delay(2, 0, -1)) / float64(b.Delay(1, 0, -1))
}

// nativeBudget returns gRPC's form of p's budget. gRPC retries while more than half of the tokens
// are left, and each failure costs a token (gRFC A6).
func nativeBudget(p *rebound.Policy) (*throttling, error) {
	b := p.Budget
	switch {
	case b == budget.Unlimited:
		return nil, nil
	case b == nil:
		b = &budget.Budget{}
	}
	// Half of the tokens are never spent, so twice as many tokens allow as many retries.
	t := &throttling{MaxTokens: 2 * b.Size(), TokenRatio: b.Deposit}
	if t.TokenRatio == 0 {
		t.TokenRatio = defaultDeposit
	}
	switch {
	case math.IsInf(t.MaxTokens, 1):
		return nil, nil
	case t.MaxTokens > maxNativeTokens:
		return nil, cannot("Budget", "a Capacity of at most %d", maxNativeTokens/2)
	// Without a Refill the budget would be empty for good.
	case b.Deposit == budget.None:
		return nil, cannot("Budget", "a Deposit of more than 0")
	}
	return t, nil
}

// seconds returns d in the JSON form of google.protobuf.Duration.
func seconds(d time.Duration) string {
	// The form allows up to nine decimals. Trailing zeros are cut for readers.
	text := fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "s"
}
