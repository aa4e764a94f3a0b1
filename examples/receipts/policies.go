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

// policies is all that this job has against failure: one policy per service, each with its own
// breaker, one recorder for both, and a list of what the breakers did.
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
		// The budget that a policy has by default keeps a server full of callers from burying
		// a service in trouble under their retries. A batch with a fixed number of workers
		// cannot do that: there are never more requests than workers, retries or not.
		policy.Budget = budget.Unlimited
		hurry(policy, cfg.speed)
		if cfg.noRetry {
			policy.Attempts = 1
		}
	}
	return p
}

// ocrPolicy: reading is quick and has a fallback, so try often, at short intervals, and turn
// to the fallback as soon as the service is known to be down.
func ocrPolicy() *rebound.Policy {
	p := preset.Aggressive()
	p.Name = "ocr"
	p.AttemptTimeout = 15 * time.Second
	p.Breaker = &breaker.Breaker{Name: "ocr", Failures: 5, Cooldown: 60 * time.Second}
	return p
}

// visionPolicy: the provider throttles, so keep to the pace that it asks for. A receipt without a
// category is still of use, so do not wait for a service that is down.
func visionPolicy() *rebound.Policy {
	p := preset.RateLimit()
	p.Name = "vision"
	p.AttemptTimeout = 20 * time.Second
	p.Breaker = &breaker.Breaker{Name: "vision", Failures: 3, Cooldown: 120 * time.Second}
	return p
}

// hurry divides all of a policy's times by s.
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

// hurried is a backoff sped up: any type with a Delay method is one.
type hurried struct {
	inner backoff.Backoff
	speed speed
}

func (h hurried) Delay(n int, prev time.Duration, u float64) time.Duration {
	return h.speed.of(h.inner.Delay(n, time.Duration(float64(prev)*float64(h.speed)), u))
}
