package batch

import (
	"net/http"

	"golang.org/x/sync/semaphore"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/cmd/rebound/batch/outage"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/llm"
)

// sender has what the workers share: the client, the policy and the limits.
type sender struct {
	b       *batch
	bodies  *semaphore.Weighted
	service outage.Service
	client  *llm.Transport // not an http.Client, which would follow redirects with the credentials
	policy  *rebound.Policy
	quota   *llm.Quota
	flight  *limit.Adaptive
	places  chan struct{} // has an element for each request in flight
	hire    func()        // is called when a worker begins to wait; nil = none
}

func newSender(b *batch) *sender {
	s := &sender{b: b, bodies: semaphore.NewWeighted(maxBodies), policy: b.o.Policy,
		places: make(chan struct{}, b.o.MaxInFlight)}
	if s.policy == nil {
		s.policy = llm.NewPolicy()
		s.policy.Attempts = 3
		s.policy.Breaker = outage.NewBreaker()
	}
	s.policy = s.policy.Clone()
	if s.policy.Budget == nil {
		s.policy.Budget = budget.Unlimited // flight bounds the retries
	}
	s.quota = &llm.Quota{
		Requests: b.o.Requests, Tokens: b.o.Tokens,
		Applies:  func(*http.Request) bool { return true },
		Estimate: tokensOf,
	}
	s.flight = &limit.Adaptive{
		Name: "in flight", Max: b.o.workers(), Queue: b.o.workers(),
		Initial: b.o.start(), SlowStart: true,
	}
	base := b.o.Transport
	if base == nil {
		base = transport(b.o.MaxInFlight)
	}
	s.client = &llm.Transport{
		Base: base, Policy: s.policy, Quota: s.quota,
		Idempotent: func(req *http.Request) bool { return callOf(req.Context()).repeatable },
	}
	if b.o.Client != nil {
		b.o.Client(s.quota, s.policy)
	}
	return s
}

// transport keeps an idle connection for each request in flight.
func transport(inFlight int) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, inFlight
	return t
}

// tokensOf returns the tokens that the row states; -1 = the quota estimates them.
func tokensOf(req *http.Request) int {
	if c := callOf(req.Context()); c != nil && c.row.Tokens > 0 {
		return c.row.Tokens
	}
	return -1
}
