package main

import (
	"slices"
	"testing"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
)

// The numbers that -speed divides.
func TestUnscaledPolicies(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		policy   *rebound.Policy
		name     string
		timeout  time.Duration
		waits    []time.Duration
		failures int
		cooldown time.Duration
	}{
		{ocrPolicy(), "ocr", 15 * s, []time.Duration{s / 2, s, 2 * s, 4 * s}, 5, 60 * s},
		{visionPolicy(), "vision", 20 * s, []time.Duration{2 * s, 6 * s, 18 * s, 54 * s},
			3, 120 * s},
	} {
		p, b := tt.policy, tt.policy.Breaker
		if p.Name != tt.name || p.Attempts != 5 || p.AttemptTimeout != tt.timeout {
			t.Errorf("%s, %d attempts of %v; want %s, 5 of %v",
				p.Name, p.Attempts, p.AttemptTimeout, tt.name, tt.timeout)
		}
		if got := p.Schedule(4); !slices.Equal(got, tt.waits) {
			t.Errorf("%s waits %v, want %v", p.Name, got, tt.waits)
		}
		if b.Name != tt.name || b.Failures != tt.failures || b.Cooldown != tt.cooldown {
			t.Errorf("breaker %s %d/%v, want %s %d/%v",
				b.Name, b.Failures, b.Cooldown, tt.name, tt.failures, tt.cooldown)
		}
	}
}

func TestHurriedPolicies(t *testing.T) {
	const ms = time.Millisecond
	p := newPolicies(config{speed: 40}, func(breaker.Change) {})
	for _, tt := range []struct {
		policy            *rebound.Policy
		timeout, cooldown time.Duration
		waits             []time.Duration
	}{
		{p.ocr, 375 * ms, 1500 * ms, []time.Duration{12500 * time.Microsecond, 25 * ms}},
		{p.vision, 500 * ms, 3000 * ms, []time.Duration{50 * ms, 150 * ms}},
	} {
		if got := tt.policy.Schedule(2); !slices.Equal(got, tt.waits) {
			t.Errorf("%s waits %v, want %v", tt.policy.Name, got, tt.waits)
		}
		if got := tt.policy.AttemptTimeout; got != tt.timeout {
			t.Errorf("%s has an attempt timeout of %v, want %v", tt.policy.Name, got, tt.timeout)
		}
		if got := tt.policy.Breaker.Cooldown; got != tt.cooldown {
			t.Errorf("%s cools down for %v, want %v", tt.policy.Name, got, tt.cooldown)
		}
		if tt.policy.Budget != budget.Unlimited {
			t.Errorf("%s has the budget %+v, want none", tt.policy.Name, tt.policy.Budget)
		}
		if err := tt.policy.Validate(); err != nil {
			t.Error(err)
		}
	}
	// The jitter is that of the presets: it adds up to half of the delay.
	if got, want := p.ocr.Backoff.Delay(1, 0, 0.5), 15625*time.Microsecond; got != want {
		t.Errorf("the mean of the first delay is %v, want %v", got, want)
	}
}

func TestNoRetryIsOneAttempt(t *testing.T) {
	p := newPolicies(config{speed: 1, noRetry: true}, func(breaker.Change) {})
	if p.ocr.Attempts != 1 || p.vision.Attempts != 1 {
		t.Errorf("%d and %d attempts, want 1 and 1", p.ocr.Attempts, p.vision.Attempts)
	}
}
