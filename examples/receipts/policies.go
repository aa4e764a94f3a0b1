package main

import (
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/preset"
	"github.com/rebound-go/rebound/rebounddebug"
	"github.com/rebound-go/rebound/stats"
)

// policies has a policy with a breaker for each service, a recorder for both, and a list of the
// breakers' changes.
type policies struct {
	ocr, vision *rebound.Policy
	recorder    stats.Recorder
	changes     rebounddebug.Changes
}

func newPolicies(cfg config, onChange func(breaker.Change)) *policies {
	p := &policies{ocr: ocrPolicy(), vision: visionPolicy()}
	for _, policy := range []*rebound.Policy{p.ocr, p.vision} {
		policy.Observe = p.recorder.Observe
		policy.Breaker.OnChange = func(c breaker.Change) {
			p.changes.OnChange(c)
			onChange(c)
		}
		// By default, a policy has a budget, which keeps many callers from overloading a service with
		// retries. This job has a fixed number of workers, so there are never more requests than workers.
		policy.Budget = budget.Unlimited
		hurry(policy, cfg.speed)
		if cfg.noRetry {
			policy.Attempts = 1
		}
	}
	return p
}

// ocrPolicy retries often, with short delays, because reading is quick. While its breaker is open,
// the fallback is used at once.
func ocrPolicy() *rebound.Policy {
	p := preset.Aggressive()
	p.Name = "ocr"
	p.AttemptTimeout = 15 * time.Second
	p.Breaker = &breaker.Breaker{Name: "ocr", Failures: 5, Cooldown: 60 * time.Second}
	return p
}

// visionPolicy follows Retry-After, because the provider throttles. While its breaker is open,
// sorting is skipped, because a receipt without a category is still useful.
func visionPolicy() *rebound.Policy {
	p := preset.RateLimit()
	p.Name = "vision"
	p.AttemptTimeout = 20 * time.Second
	p.Breaker = &breaker.Breaker{Name: "vision", Failures: 3, Cooldown: 120 * time.Second}
	return p
}

// hurry divides the times of a policy by s.
func hurry(p *rebound.Policy, s speed) {
	p.Backoff = hurried{p.Backoff, s}
	if p.Throttled != nil {
		p.Throttled = hurried{p.Throttled, s}
	}
	p.AttemptTimeout = s.of(p.AttemptTimeout)
	p.MaxElapsed = s.of(p.MaxElapsed)
	p.MaxRetryAfter = s.of(p.MaxRetryAfter)
	p.Breaker.Cooldown = s.of(p.Breaker.Cooldown)
}

// hurried is a backoff with shorter delays. Any type with the method Delay is a backoff.
type hurried struct {
	inner backoff.Backoff
	speed speed
}

func (h hurried) Delay(n int, prev time.Duration, u float64) time.Duration {
	return h.speed.of(h.inner.Delay(n, time.Duration(float64(prev)*float64(h.speed)), u))
}
