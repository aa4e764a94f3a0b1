package llm

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/httppolicy"
	"github.com/rebound-go/rebound/limit"

	"github.com/rebound-go/rebound"
)

// Quota keeps requests within a provider's limits of requests and tokens per minute. Each model
// has limits of its own, and so has each host and each credential. Attempts wait for their turn, in
// order, before they are sent.
//
// Limits that are not given are learned from the provider: from the headers x-ratelimit-*,
// anthropic-ratelimit-* and RateLimit, and from the text of errors with status 429. Until the first
// answer everything passes. Remaining numbers in headers lower the level of limits that are given,
// as well, since other programs may use the same quota.
//
// The zero Quota is ready. It may be shared by Transports; it must not be copied, nor its fields
// changed, once in use.
type Quota struct {
	// Requests is how many requests a minute each model may get, and Tokens how many tokens a
	// minute, of prompts and answers together. A second's worth of requests and a minute's worth of
	// tokens may be taken at once. 0 = learned.
	Requests, Tokens float64

	// Estimate returns the tokens that a request will use; negative = as without it. It must not read
	// the Body, but may call GetBody. The usage in the answer, or at the end of the stream, corrects
	// the estimate. A request whose estimate is more than a minute's tokens is sent when all of the
	// quota is there, and takes all of it.
	//
	// Nil = a quarter of the body's bytes and the greatest number of tokens that the request allows
	// for its answer, such as max_tokens. A piece of base64, such as a picture, counts as 1000.
	// Without max_tokens the answer counts as the mean of the model's answers so far.
	Estimate func(*http.Request) int

	// Applies reports whether a request is subject to the quota. Nil = IsGeneration.
	Applies func(*http.Request) bool

	// Wait is the longest wait for each of the two limits. Attempts whose turn is later fail at
	// once, with [limit.ErrRate]. 0 = as long as the request's context lasts.
	Wait time.Duration

	mu     sync.Mutex
	meters map[meterKey]*meter
	seed   maphash.Seed
}

// meterKey is whose limits they are. The credential is a hash.
type meterKey struct {
	host, model string
	credential  uint64
}

// Validate returns an error that names the first invalid field.
func (q *Quota) Validate() error {
	switch {
	case !(q.Requests >= 0 && q.Requests <= math.MaxFloat64):
		return fmt.Errorf("llm: Quota.Requests is %v: want more than 0 a minute, or 0 to learn it",
			q.Requests)
	case !(q.Tokens >= 0 && q.Tokens <= math.MaxFloat64):
		return fmt.Errorf("llm: Quota.Tokens is %v: want more than 0 a minute, or 0 to learn it",
			q.Tokens)
	case q.Wait < 0:
		return fmt.Errorf("llm: Quota.Wait is %v: want more than 0, or 0 for no limit", q.Wait)
	}
	return nil
}

// Snapshots yields the state of the limits of each model in use, in any order: that of requests and
// that of tokens, whose names are the model's and what is limited.
func (q *Quota) Snapshots() iter.Seq[limit.Snapshot] {
	return func(yield func(limit.Snapshot) bool) {
		q.mu.Lock()
		meters := make([]*meter, 0, len(q.meters))
		for _, m := range q.meters {
			meters = append(meters, m)
		}
		q.mu.Unlock()
		for _, m := range meters {
			if !yield(m.requests.Load().Snapshot()) || !yield(m.tokens.Load().Snapshot()) {
				return
			}
		}
	}
}

func (q *Quota) applies(req *http.Request) bool {
	if q.Applies != nil {
		return q.Applies(req)
	}
	return IsGeneration(req)
}

// guard returns req with a policy that asks the quota before each attempt. p is the policy that req
// goes by if it has none of its own.
func (q *Quota) guard(req *http.Request, p *rebound.Policy) *http.Request {
	if own, ok := httppolicy.Of(req.Context()); ok {
		p = own
	}
	call := &quotaCall{Context: req.Context(), quota: q, req: req, policy: p.Clone()}
	call.policy.Gates = slices.Insert(call.policy.Gates, 0, gate.Gate(call))
	return req.WithContext(call)
}

type quotaKey struct{}

// reserved returns the reservation of the attempt under way; nil if there is no quota. The context
// of its request is all that the transport of an attempt has from the gate.
func reserved(req *http.Request) *reservation {
	if call, ok := req.Context().Value(quotaKey{}).(*quotaCall); ok {
		return call.now
	}
	return nil
}

// quotaCall is the gate of one call, whose attempts follow one another. A gate of the policy waits
// before the attempt's timeouts begin, and the policy counts its rejection as any gate's. It is the
// context of the call's request, too, which saves two of these.
type quotaCall struct {
	context.Context
	quota  *Quota
	req    *http.Request
	policy *rebound.Policy // with this gate
	meter  *meter
	asked  Request
	now    *reservation // of the attempt under way
}

// Value returns the call and its policy, each for its key.
func (c *quotaCall) Value(key any) any {
	switch key {
	case quotaKey{}:
		return c
	case httppolicy.Key{}:
		return c.policy
	}
	return c.Context.Value(key)
}

// Enter takes the attempt's share of both limits, or of neither.
func (c *quotaCall) Enter(ctx context.Context) (gate.Pass, error) {
	if c.meter == nil {
		c.asked = ReadRequest(c.req)
		c.meter = c.quota.meter(c.req, c.asked.Model)
	}
	r := &reservation{meter: c.meter, input: float64(c.asked.Input), tokens: c.estimate()}
	r.requestRate, r.tokenRate = c.meter.requests.Load(), c.meter.tokens.Load()
	// A provider that accepts more than all has not counted it so. A debt would hold back the others
	// for hours if the request allows a million tokens and its answer does not report its usage.
	if n := r.tokenRate.N; n > 0 {
		r.tokens = min(r.tokens, n)
	}
	// Requests come last, as they may be the ones of a second: attempts that all had their requests
	// and waited for tokens would be sent at once.
	if err := r.tokenRate.Take(ctx, r.tokens); err != nil {
		return gate.Pass{}, err
	}
	if err := r.requestRate.Take(ctx, 1); err != nil {
		r.tokenRate.Debit(-r.tokens)
		return gate.Pass{}, err
	}
	c.now = r
	return gate.Pass{}, nil
}

// Refusal foresees that the next attempt would come too early.
func (c *quotaCall) Refusal(d time.Duration) error {
	if c.meter == nil {
		return nil
	}
	if err := c.meter.requests.Load().Refusal(d); err != nil {
		return err
	}
	return c.meter.tokens.Load().Refusal(d)
}

// Leave gives back what the server certainly has not counted, and learns from its refusal.
func (c *quotaCall) Leave(_ gate.Pass, o gate.Outcome) {
	r := c.now
	switch {
	case o.Result == gate.OK || r == nil:
	case o.Result == gate.Skipped || o.Fault.Sent == fault.NotSent:
		r.requestRate.Debit(-1)
		r.cancel()
	case o.Fault.Sent == fault.NotDone:
		r.cancel() // the request counts, but no model has read it
	}
	if o.Result == gate.Failed && o.Fault.Kind == fault.RateLimited {
		c.meter.learnRefusal(o.Fault)
	}
}

// estimate is asked anew for each attempt, as the mean of answers moves meanwhile.
func (c *quotaCall) estimate() float64 {
	if c.quota.Estimate != nil {
		if n := c.quota.Estimate(c.req); n >= 0 {
			return float64(n)
		}
	}
	if c.asked.MaxOutput > 0 {
		return float64(c.asked.Input + c.asked.MaxOutput)
	}
	return float64(c.asked.Input) + c.meter.meanOutput()
}
