package batch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/limit"
	"github.com/rebound-go/rebound/llm"
	"github.com/rebound-go/rebound/reboundhttp"
)

// sender makes the calls. All of them share the limits.
type sender struct {
	b      *batch
	bodies *semaphore.Weighted
	client *http.Client
	policy *rebound.Policy
	quota  *llm.Quota
	flight *limit.Adaptive
}

func newSender(b *batch) *sender {
	s := &sender{b: b, bodies: semaphore.NewWeighted(maxBodies), policy: b.o.Policy}
	if s.policy == nil {
		s.policy = llm.NewPolicy()
		s.policy.Attempts = 3
	}
	s.policy = s.policy.Clone()
	if s.policy.Budget == nil {
		s.policy.Budget = budget.Unlimited // the workers are a fixed number: they limit themselves
	}
	s.quota = &llm.Quota{
		Requests: b.o.Requests, Tokens: b.o.Tokens,
		Applies:  func(*http.Request) bool { return true },
		Estimate: tokensOf,
	}
	s.flight = &limit.Adaptive{
		Name: "in flight", Max: b.o.MaxInFlight, Queue: b.o.MaxInFlight,
		Initial: min(max(20, b.o.MaxInFlight/4), b.o.MaxInFlight),
	}
	base := b.o.Transport
	if base == nil {
		base = transport(b.o.MaxInFlight)
	}
	s.client = &http.Client{
		Transport: &llm.Transport{
			Base: base, Policy: s.policy, Quota: s.quota,
			Idempotent: func(req *http.Request) bool { return callOf(req.Context()).repeatable },
		},
		// A redirect could carry credentials to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if b.o.Client != nil {
		b.o.Client(s.quota, s.policy)
	}
	return s
}

// unreadable is the error of a row that cannot be sent, though it could when it was checked.
type unreadable struct{ error }

// answer is what came of a round of calls.
type answer struct {
	*call
	resp *http.Response // its body was read and closed; nil = none
	body []byte
	err  error // nil = a good answer
}

// send makes one round of calls for a row.
func (s *sender) send(ctx context.Context, j job) answer {
	b, req := s.b, s.b.head(j.row)
	a := answer{call: &call{b: b, row: j.row, req: req, before: j.lost,
		repeatable: b.o.InDoubt == "redo" || repeatable(req)}}
	body, err := b.in.Files.Body(j.row)
	if err == nil {
		setBody(req, body)
		if a.most, err = b.prices.Most(req); b.o.Budget == 0 {
			err = nil
		}
	}
	if err != nil {
		a.err = unreadable{err}
		return a
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.feeding, func() {
		if a.place.CompareAndSwap(waiting, stopped) {
			cancel()
		}
	})()
	weight := min(int64(len(body)), maxBodies)
	if a.err = s.bodies.Acquire(ctx, weight); a.err != nil {
		return a
	}
	defer s.bodies.Release(weight)
	a.since = time.Now()
	p := s.policy.Clone()
	p.Observe = a.observe(p.Observe)
	p.Gates = append(append(append(p.Gates, b.gates...), s.flight), a.call)
	if left := b.o.RowAttempts - j.attempts; p.MaxAttempts() > left || p.MaxAttempts() < 0 {
		p.Attempts = left
	}
	own := context.WithValue(reboundhttp.WithPolicy(ctx, p), callKey{}, a.call)
	a.resp, a.err = s.client.Do(req.WithContext(own))
	a.read()
	return a
}

// read reads the body of the response, and the error of a response that is none.
func (a *answer) read() {
	if a.err != nil {
		return
	}
	defer a.resp.Body.Close()
	a.body, a.err = io.ReadAll(a.resp.Body)
	made := reboundhttp.CallOf(a.resp)
	switch {
	case a.err != nil:
		a.maybe = true
	case made.Err != nil:
		a.err = made.Err
	case a.resp.StatusCode >= 300:
		a.err = rebound.Permanent(fmt.Errorf("status %d: redirects are not followed",
			a.resp.StatusCode))
	}
}

// transport keeps a connection for each request under way.
func transport(inFlight int) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, inFlight
	return t
}

// tokensOf is the tokens of a row, if it states them.
func tokensOf(req *http.Request) int {
	if c := callOf(req.Context()); c != nil && c.row.Tokens > 0 {
		return c.row.Tokens
	}
	return -1
}
