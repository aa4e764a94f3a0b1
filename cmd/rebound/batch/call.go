package batch

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
	"github.com/rebound-go/rebound/cmd/rebound/batch/rows"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/gate"
	"github.com/rebound-go/rebound/llm"
	"github.com/rebound-go/rebound/reboundhttp"
)

// call is one round of a row: the attempts of the policy.
type call struct {
	b          *batch
	places     chan struct{} // of the sender
	row        rows.Row
	req        *http.Request
	repeatable bool
	most       money.Amount // that an attempt can cost
	before     money.Amount // that earlier attempts may have cost

	place    atomic.Int32
	attempts int // begun
	began    time.Time
	since    time.Time     // when it began to wait
	limited  time.Duration // waited for a turn
	backoff  time.Duration // waited before retries
	reserved money.Amount  // in the journal
	maybe    bool          // the server may have acted on an attempt that failed
	lost     money.Amount  // that such attempts may have cost
	pace     paced
	answered bool // the last one was, and what it can cost is still reserved
}

// paced is what a call has of a Pacer.
type paced struct {
	name     string // of its limits; empty = not known yet
	expected int    // tokens of an attempt
	taken    int    // tokens of the last attempt
}

// The places of a call.
const (
	waiting int32 = iota // for its turn
	sent                 // the journal has the row
	stopped              // the batch stopped before its turn
)

// ErrStopping is the error of a row that was waiting for its turn when the batch was stopped.
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

// takePlace waits for a place among the requests under way. A row that has none yet when the batch
// stops is not sent.
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

// mark marks the row as sent, and again if it may cost more than the journal has.
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

// observe counts the delay of a retry, which is not a wait for a turn.
func (c *call) observe(e rebound.Event) {
	if e.Kind == rebound.Retrying {
		c.backoff += e.Delay
		c.since = time.Now().Add(e.Delay)
	}
}

// leave frees the place of an attempt, and books one that has failed. An error of the server's
// costs nothing; an attempt whose outcome is unknown may have cost all of it.
func (c *call) leave(o gate.Outcome) {
	defer func() { <-c.places }() // once it is known whether the account is at fault
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
