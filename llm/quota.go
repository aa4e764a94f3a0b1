package llm

import (
	"context"
	"fmt"
	"iter"
	"math"
	"net/http"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/internal/httppolicy"
	"github.com/rebound-go/rebound/internal/lru"
	"github.com/rebound-go/rebound/limit"
)

// Quota keeps requests within a provider's limits of requests and tokens per minute. Every model,
// host and credential has its own limits. Attempts wait in a queue for their turn before they are
// sent.
//
// Limits that are not given are learned from the provider: from the headers x-ratelimit-*,
// anthropic-ratelimit-* and RateLimit, and from the text of errors with status 429. Until the first
// answer no attempt waits. If a header states that less remains than expected, the level is
// lowered, even for a given limit, because other programs may use the same quota.
//
// A thousand limits are kept; beyond that, the least recently used are forgotten. A limit is never
// forgotten while a request is under way or its answer is read, while attempts wait, or while the
// provider's report of the limit is valid. So more than a thousand are kept only if more are in
// use.
//
// The zero Quota is ready to use. Transports may share it. Once it is in use, do not copy it or
// change its fields.
type Quota struct {
	// Requests is the number of requests per minute that each model may get. Tokens is the number of
	// tokens per minute, of prompts and answers together. A second's worth of requests and a minute's
	// worth of tokens may be used at once. 0 = learned.
	Requests, Tokens float64

	// Estimate returns the number of tokens that a request will use. A negative result stands for the
	// default estimate. Estimate must not read the Body, but may call GetBody. The usage that the
	// answer reports corrects the estimate. A request whose estimate exceeds a minute's tokens is sent
	// when the whole quota is available, and uses all of it.
	//
	// Nil = a quarter of the body's bytes, plus the largest number of tokens that the request allows
	// for its answer, such as max_tokens. A run of base64, such as a picture, counts as 1000 tokens.
	// Without max_tokens the answer counts as the mean of the model's answers so far.
	Estimate func(*http.Request) int

	// Applies reports whether a request is subject to the quota. Nil = IsGeneration.
	Applies func(*http.Request) bool

	// Wait is the longest time that an attempt waits for each of the two limits. An attempt that would
	// wait longer is rejected at once, with [limit.ErrRate]. 0 = until the request's context ends.
	Wait time.Duration

	meters lru.Map[meterKey, *meter]
}

// meterKey identifies the limits that apply to a request. The credential is a hash, so that the map
// holds no secrets.
type meterKey struct {
	host, model string
	credential  uint64
}

// Validate returns an error that names the first invalid field.
func (q *Quota) Validate() error {
	switch {
	case !(q.Requests >= 0 && q.Requests <= math.MaxFloat64):
		return fmt.Errorf("llm: Quota.Requests is %v: want more than 0 per minute, or 0 to learn it",
			q.Requests)
	case !(q.Tokens >= 0 && q.Tokens <= math.MaxFloat64):
		return fmt.Errorf("llm: Quota.Tokens is %v: want more than 0 per minute, or 0 to learn it",
			q.Tokens)
	case q.Wait < 0:
		return fmt.Errorf("llm: Quota.Wait is %v: want more than 0, or 0 for no limit", q.Wait)
	}
	return nil
}

// Snapshots yields the state of the limits of each model in use, in no particular order. Each model
// has two: its requests and its tokens, as their names say.
func (q *Quota) Snapshots() iter.Seq[limit.Snapshot] {
	return func(yield func(limit.Snapshot) bool) {
		for m := range q.meters.All() {
			if !yield(m.requests.Load().Snapshot()) || !yield(m.tokens.Load().Snapshot()) {
				return
			}
		}
	}
}

// Busy reports whether a new Quota would let more attempts pass than q: a limit is partly used, or
// was learned in the last minute.
func (q *Quota) Busy() bool {
	for m := range q.meters.All() {
		if m.Busy() {
			return true
		}
	}
	return false
}

// Saturated reports whether attempts wait for the limits of every model in use. More attempts at a
// time would only wait, too.
func (q *Quota) Saturated() bool {
	used := false
	for m := range q.meters.All() {
		if m.requests.Load().Snapshot().Waiting+m.tokens.Load().Snapshot().Waiting == 0 {
			return false
		}
		used = true
	}
	return used
}

func (q *Quota) applies(req *http.Request) bool {
	if q.Applies != nil {
		return q.Applies(req)
	}
	return IsGeneration(req)
}

// guard returns the gate of a request's call, as the context of the request.
func (q *Quota) guard(req *http.Request) *quotaCall {
	c := &quotaCall{Context: req.Context(), quota: q, req: req, call: httppolicy.Of(req.Context())}
	c.call.Gate = c
	return c
}

// done ends the use of the meter. The last answer's body may use it for longer.
func (c *quotaCall) done() {
	if c.entry != nil {
		c.entry.Done()
	}
}

type quotaKey struct{}

// reserved returns the reservation of the attempt under way, or nil without a quota. The context of
// the attempt's request is the only way from the gate to the transport below.
func reserved(req *http.Request) *reservation {
	if call, _ := req.Context().Value(quotaKey{}).(*quotaCall); call != nil {
		return call.now
	}
	return nil
}

// unreserved returns ctx without the reservation. Requests that Base makes for the attempt, such as
// for a token, have such a context.
func unreserved(ctx context.Context) context.Context {
	return context.WithValue(ctx, quotaKey{}, (*quotaCall)(nil))
}

// quotaCall is the gate of one call, whose attempts follow one another, so it needs no lock.
// Because it is a gate, attempts wait before their timeouts begin, and a rejection is reported like
// that of any gate. It is also the context of the call's request, which saves two contexts.
type quotaCall struct {
	context.Context
	quota *Quota
	req   *http.Request
	call  httppolicy.Call // with this gate
	entry *meterEntry     // nil before the first attempt
	meter *meter          // of entry
	asked Request
	now   *reservation // of the attempt under way
}

// Value returns the quota's part of the call and the policy's, each for its key.
func (c *quotaCall) Value(key any) any {
	switch key {
	case quotaKey{}:
		return c
	case httppolicy.Key{}:
		return &c.call
	}
	return c.Context.Value(key)
}

// Enter takes the attempt's share of both limits, or of neither.
func (c *quotaCall) Enter(ctx context.Context) (gate.Pass, error) {
	if c.meter == nil {
		c.asked = ReadRequest(c.req)
		c.entry = c.quota.meter(c.req, c.asked.Model)
		c.meter = c.entry.Value
	}
	r := &reservation{entry: c.entry, meter: c.meter, input: float64(c.asked.Input)}
	r.requestRate, r.tokenRate = c.meter.requests.Load(), c.meter.tokens.Load()
	r.tokens = c.estimate(r.tokenRate)
	// Tokens come first, because the limit of requests paces by the second. Attempts that had passed
	// it and then waited for tokens would be sent all at once.
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

// Refusal returns the error with which the quota would reject the next attempt after a delay of d.
func (c *quotaCall) Refusal(d time.Duration) error {
	// Without a Wait the queue has no end, and the estimate may be slow.
	if c.meter == nil || c.quota.Wait == 0 {
		return nil
	}
	if err := c.meter.requests.Load().Refusal(d); err != nil {
		return err
	}
	tokens := c.meter.tokens.Load()
	return tokens.RefusalN(d, c.estimate(tokens))
}

// Leave returns the tokens that the server certainly has not counted, and learns from a 429.
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

// estimate returns the tokens that an attempt takes from rate. It is computed for each attempt,
// because the mean of the answers changes in the meantime.
func (c *quotaCall) estimate(rate *limit.Rate) float64 {
	n := c.wanted()
	// A provider that accepts a request above the whole limit has not counted all of it. Without this
	// bound, a request that allows a million tokens could leave a debt that delays all others for
	// hours, if its answer reports no usage.
	if rate.N > 0 {
		n = min(n, rate.N)
	}
	return n
}

// wanted is the estimate of the whole request.
func (c *quotaCall) wanted() float64 {
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
