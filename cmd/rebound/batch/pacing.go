package batch

import (
	"cmp"
	"context"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/llm"
)

// A Pacer shares the limits among several processes. Limits are kept by name: the name of the
// model, or the host for a request without a model.
type Pacer interface {
	// Take waits until an attempt of about that many tokens may run. It returns how many tokens it
	// took from the limit.
	Take(ctx context.Context, name string, tokens int) (taken int, err error)
	// Settle books usage beyond what Take took. Negative numbers give back.
	Settle(name string, requests, tokens int)
	// Pause makes all processes wait for a Retry-After delay.
	Pause(name string, d time.Duration)
}

// longestRest is the longest Retry-After delay that is passed to all processes.
const longestRest = 2 * time.Minute

// pacing makes the Pacer a gate of a worker's attempts. It comes before the gate of the places.
type pacing struct{ call func() *call }

// Enter waits until the limits allow the attempt.
func (g pacing) Enter(ctx context.Context) (_ gate.Pass, err error) {
	c := g.call()
	if c.pace.name == "" {
		asked := llm.ReadRequest(c.req)
		c.pace.name = cmp.Or(asked.Model, c.req.URL.Host)
		if c.pace.expected = c.row.Tokens; c.pace.expected <= 0 {
			c.pace.expected = asked.Input + asked.MaxOutput
		}
	}
	c.pace.taken, err = c.b.pace.Take(ctx, c.pace.name, c.pace.expected)
	return gate.Pass{}, err
}

// Leave gives back what the server did not count, and shares its Retry-After delay.
func (g pacing) Leave(_ gate.Pass, o gate.Outcome) {
	c := g.call()
	switch {
	case o.Result == gate.Skipped || o.Result == gate.Failed && o.Fault.Sent == fault.NotSent:
		c.b.pace.Settle(c.pace.name, -1, -c.pace.taken)
	case o.Result == gate.Failed && o.Fault.Sent == fault.NotDone:
		c.b.pace.Settle(c.pace.name, 0, -c.pace.taken)
	}
	if f := o.Fault; f.Kind == fault.RateLimited && f.After > 0 && f.After <= longestRest {
		c.b.pace.Pause(c.pace.name, f.After)
	}
}

// settlePace books the difference between the tokens that an answer used and those taken for it.
func (c *call) settlePace(used llm.Usage) {
	if n := int(used.Input + used.Output); n > 0 && c.pace.name != "" {
		c.b.pace.Settle(c.pace.name, 0, n-c.pace.taken)
	}
}
