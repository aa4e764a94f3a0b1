package batch

import (
	"cmp"
	"context"
	"time"

	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/llm"
)

// Pacer is what several processes share of the limits. Each model has limits of its own, under its
// name; a request without a model has those of its host.
type Pacer interface {
	// Take waits for the turn of an attempt that may use so many tokens. It returns how many it has
	// taken.
	Take(ctx context.Context, name string, tokens int) (taken int, err error)
	// Settle books what was used beyond what was taken. Negative numbers give back.
	Settle(name string, requests, tokens int)
	// Pause has all processes wait, as the server has asked for.
	Pause(name string, d time.Duration)
}

// longestRest is the longest delay that all processes wait for. The policy gives up on longer ones.
const longestRest = 2 * time.Minute

// pacing is the Pacer as a gate of a worker's attempts, before they have a place in flight.
type pacing struct{ call func() *call }

// Enter waits for the attempt's turn.
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

// Leave gives back what the server has not counted, and passes on a delay that it asks for.
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

// settlePace books the tokens of an answer that its attempt has not taken.
func (c *call) settlePace(used llm.Usage) {
	if n := int(used.Input + used.Output); n > 0 && c.pace.name != "" {
		c.b.pace.Settle(c.pace.name, 0, n-c.pace.taken)
	}
}
