package policyfile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/retryclass"
	"github.com/rebound-go/rebound/internal/strictjson"
)

// Build returns a new policy with the given name and the fields of p, or an error that names the
// invalid field.
func (p Policy) Build(name string) (*rebound.Policy, error) {
	made := &rebound.Policy{
		Name:           name,
		Attempts:       int(p.Attempts),
		MaxElapsed:     time.Duration(p.MaxElapsed),
		AttemptTimeout: time.Duration(p.AttemptTimeout),
		MaxRetryAfter:  time.Duration(p.MaxRetryAfter),
		NonIdempotent:  p.NonIdempotent,
		Breaker:        p.Breaker.build(name),
	}
	var err, err2, err3, err4, err5, err6 error
	made.Backoff, err = p.Backoff.build("Backoff")
	made.Throttled, err2 = p.Throttled.build("Throttled")
	made.Budget, err3 = p.Budget.build()
	made.RetryIf, err4 = matcher("Retry", p.Retry)
	if p.Breaker != nil {
		made.Breaker.Counts, err5 = matcher("Breaker.Counts", p.Breaker.Counts)
	}
	made.Gates, err6 = p.gates(name)
	if err := cmp.Or(err, err2, err3, err4, err5, err6, made.Validate()); err != nil {
		return nil, err
	}
	return made, nil
}

// build returns the strategy, or nil for nil. field is the name of the policy's field, for errors.
func (b *Backoff) build(field string) (backoff.Backoff, error) {
	if b == nil {
		return nil, nil
	}
	kind := cmp.Or(b.Kind, "exponential")
	if err := b.extra(kind); err != nil {
		return nil, fmt.Errorf("%s.%w", field, err)
	}
	jitter, err := b.Jitter.jitter()
	if err != nil {
		return nil, fmt.Errorf("%s.Jitter: %w", field, err)
	}
	base, least, most := time.Duration(b.Base), time.Duration(b.Min), time.Duration(b.Max)
	switch kind {
	case "constant":
		return backoff.Constant(base), nil
	case "linear":
		step := time.Duration(b.Step)
		return backoff.Linear{Base: base, Step: step, Min: least, Max: most, Jitter: jitter}, nil
	case "exponential":
		return backoff.Exponential{
			Base: base, Min: least, Max: most, Factor: b.Factor, Jitter: jitter,
		}, nil
	case "fibonacci":
		return backoff.Fibonacci{Base: base, Min: least, Max: most, Jitter: jitter}, nil
	case "decorrelated":
		return backoff.Decorrelated{
			Base: base, Min: least, Max: most, Low: b.Low, High: b.High,
		}, nil
	case "steps":
		s := backoff.Steps{Jitter: jitter}
		for _, d := range b.Delays {
			s.Delays = append(s.Delays, time.Duration(d))
		}
		return s, nil
	}
	return nil, fmt.Errorf("%s.Kind: %q is not a kind of backoff: %s",
		field, kind, strictjson.Hint(string(kind), kinds))
}

// extra returns an error for a field that is set but does not belong to the kind of backoff.
func (b *Backoff) extra(kind Kind) error {
	growing := []Kind{"linear", "exponential", "fibonacci", "decorrelated"}
	for _, f := range []struct {
		name  string
		set   bool
		kinds []Kind
	}{
		{"Base", b.Base != 0, append(growing, "constant")},
		{"Factor", b.Factor != 0, []Kind{"exponential"}},
		{"Step", b.Step != 0, []Kind{"linear"}},
		{"Low", b.Low != 0, []Kind{"decorrelated"}},
		{"High", b.High != 0, []Kind{"decorrelated"}},
		{"Min", b.Min != 0, growing},
		{"Max", b.Max != 0, growing},
		{"Delays", len(b.Delays) > 0, []Kind{"steps"}},
		{"Jitter", b.Jitter != "", []Kind{"linear", "exponential", "fibonacci", "steps"}},
	} {
		if f.set && !slices.Contains(f.kinds, kind) {
			return fmt.Errorf("%s is set: the kind %s does not have it", f.name, kind)
		}
	}
	return nil
}

func (b *Budget) build() (*budget.Budget, error) {
	switch {
	case b == nil:
		return nil, nil
	case !b.Unlimited:
		return &budget.Budget{Capacity: b.Capacity, Deposit: b.Deposit, Refill: b.Refill}, nil
	case *b != Budget{Unlimited: true}:
		return nil, fmt.Errorf("Budget.Unlimited is set: want no other field beside it")
	}
	return budget.Unlimited, nil
}

// build sets all fields but Counts, which [Policy.Build] sets.
func (b *Breaker) build(policy string) *breaker.Breaker {
	if b == nil {
		return nil
	}
	return &breaker.Breaker{
		Name:           cmp.Or(b.Name, policy),
		Failures:       b.Failures,
		Rate:           b.Rate,
		MinCalls:       b.MinCalls,
		Window:         time.Duration(b.Window),
		WindowCalls:    b.WindowCalls,
		SlowAfter:      time.Duration(b.SlowAfter),
		SlowRate:       b.SlowRate,
		Cooldown:       time.Duration(b.Cooldown),
		MaxCooldown:    time.Duration(b.MaxCooldown),
		CooldownJitter: b.CooldownJitter,
		Probes:         b.Probes,
		Shadow:         b.Shadow,
	}
}

// tests are the classes of failures that are not a single kind.
var tests = map[Match]func(fault.Fault) bool{
	"timeout": retryclass.Timeout, "connection": retryclass.Connection,
	"server": retryclass.Server, "io": retryclass.IO,
}

// matcher returns a predicate for failures in any of the classes, or nil for no classes.
func matcher(field string, classes []Match) (func(fault.Fault) bool, error) {
	for i, m := range classes {
		if !slices.Contains(matches, string(m)) {
			return nil, fmt.Errorf("%s[%d]: %q is not a class of failures: %s",
				field, i, string(m), strictjson.Hint(string(m), matches))
		}
	}
	if len(classes) == 0 {
		return nil, nil
	}
	var in []func(fault.Fault) bool
	for _, m := range classes {
		test := tests[m]
		if test == nil {
			var k fault.Kind
			_ = k.UnmarshalText([]byte(m)) // one of matches
			test = retryclass.Kind(k)
		}
		in = append(in, test)
	}
	return retryclass.Any(in...), nil
}
