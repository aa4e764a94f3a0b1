package batch

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/outage"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/llm"
	"github.com/rebound-go/rebound/reboundhttp"
)

// call is one round of a row: the attempts that the policy makes.
type call struct {
	b          *batch
	places     chan struct{} // the sender's
	row        rows.Row
	req        *http.Request
	repeatable bool
	most       money.Amount // the most that an attempt can cost
	before     money.Amount // the most that earlier rounds can have cost
	history    *outage.History

	place    atomic.Int32
	attempts int // that have begun
	began    time.Time
	since    time.Time     // when the wait for a permit began
	limited  time.Duration // time spent waiting for permits
	backoff  time.Duration // time spent waiting before retries
	reserved money.Amount  // the cost in the row's mark
	maybe    bool          // the server may have acted on a failed attempt
	lost     money.Amount  // the most that attempts of unknown outcome can have cost
	pace     paced
	answered bool // the last attempt was answered, and its cost is still reserved
}

// paced is the part of a call that concerns the Pacer.
type paced struct {
	name     string // of the limits; empty = not read yet
	expected int    // tokens of an attempt, estimated
	taken    int    // tokens that the last attempt took
}

// The values of call.place.
const (
	waiting int32 = iota // for a permit
	sent                 // the row is marked as sent
	stopped              // the batch stopped before the row was sent
)

// ErrStopping is returned for a row that was not sent because the batch is stopping.
var ErrStopping = errors.New("the batch is stopping")

// enter reserves what the attempt can cost, and marks the row as sent.
func (c *call) enter(ctx context.Context) error {
	if err := c.b.purse.Reserve(ctx, c.most); err != nil {
		return err
	}
	c.limited += max(time.Since(c.since), 0)
	err := c.mark(ctx)
	if err == nil {
		err = c.takePlace(ctx)
	}
	if err != nil {
		c.b.purse.Settle(c.most, 0)
		return err
	}
	c.attempts++
	return nil
}

// takePlace waits for a place among the requests in flight. A row without an attempt is not sent if
// the batch stops meanwhile. After a fault of the account no attempt follows.
func (c *call) takePlace(ctx context.Context) error {
	select {
	case c.places <- struct{}{}:
	default:
		began := time.Now()
		select {
		case c.places <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		c.limited += time.Since(began)
	}
	if c.b.halt.account.Load() || c.attempts == 0 && c.b.feeding.Err() != nil {
		<-c.places
		return ErrStopping
	}
	return nil
}

// mark marks the row as sent. It does so again if the row may cost more than its mark holds.
func (c *call) mark(ctx context.Context) error {
	if c.b.halt.account.Load() {
		c.place.CompareAndSwap(waiting, stopped)
		return ErrStopping
	}
	first := c.place.CompareAndSwap(waiting, sent)
	cost := c.before + c.lost + c.most
	switch {
	case c.place.Load() == stopped:
		return ErrStopping
	case !first && cost <= c.reserved:
		return nil
	}
	c.reserved = cost
	return c.b.mark(ctx, c.row.Key, cost)
}

// observe counts the delay of a retry as backoff, and not as limited.
func (c *call) observe(e rebound.Event) {
	if e.Kind == rebound.Retrying {
		c.backoff += e.Delay
		c.since = time.Now().Add(e.Delay)
	}
}

// leave frees the place of an attempt, and settles its cost if it failed. An error response costs
// nothing. An attempt without a response may have cost the whole reserved amount.
func (c *call) leave(o gate.Outcome) {
	defer func() { <-c.places }() // last: takePlace must see whether the account is at fault
	switch o.Result {
	case gate.OK:
		c.answered = true
		return
	case gate.Skipped:
		c.attempts--
	case gate.Failed:
		if o.Fault.Sent == fault.MaybeDone {
			c.maybe = true
			if answered := (*reboundhttp.StatusError)(nil); !errors.As(o.Fault.Err, &answered) {
				c.lost += c.most
				c.b.purse.Settle(c.most, c.most)
				return
			}
		}
		if llm.IsAccount(o.Fault.Err) {
			c.b.halt.account.Store(true)
		}
	}
	c.b.purse.Settle(c.most, 0)
}
